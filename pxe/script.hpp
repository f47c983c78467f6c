// SPDX-License-Identifier: GPL-3.0-or-later
// The iPXE scripts that clients are sent (ipxe.org/scripting).
#pragma once

#include <string>

#include "lib/base/clock.hpp"
#include "lib/base/net.hpp"
#include "lib/base/result.hpp"

namespace slipway::pxe {

struct AgentBoot {
    Ipv4Address server;
    std::uint16_t http_port = 8480;  // 0: kernel and ramdisk by TFTP
    std::uint16_t tls_port = 8443;
    MacAddress mac;
    std::string token;              // hex, for enrolment; used once
    WallTime now;                   // the agent's clock starts here
    std::string kernel = "kernel";  // below /boot/, by HTTP and by TFTP
    std::string ramdisk = "ramdisk/default";
    std::string more;  // further kernel arguments, for the lab: "console=ttyS0"
};

// Starts the agent: kernel and ramdisk by HTTP, by TFTP when that fails; when both fail the machine starts over.
// An error when a value could end the line it stands in.
Result<std::string> agent_script(const AgentBoot& boot);

enum class LocalDiskWay {
    Exit,     // back to the firmware, which goes on with its next boot device
    SanBoot,  // quirk: firmware that starts over at the network after an exit; iPXE starts the first BIOS disk itself
};
std::string local_disk_script(LocalDiskWay way = LocalDiskWay::Exit);

}  // namespace slipway::pxe
