// SPDX-License-Identifier: GPL-3.0-or-later
// The scripts that clients are sent: iPXE's (ipxe.org/scripting) and GRUB's (GRUB manual, "Writing full configuration
// files directly"). Pure. An error when a value could end the word it stands in.
#pragma once

#include <string>
#include <vector>

#include "lib/base/clock.hpp"
#include "lib/base/net.hpp"
#include "lib/base/result.hpp"
#include "pxe/image.hpp"
#include "pxe/quirks.hpp"

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
Result<std::string> agent_script(const AgentBoot& boot);
// The same for GRUB, by TFTP: its HTTP knows no port but 80.
Result<std::string> agent_grub_script(const AgentBoot& boot);

// Leaves to the machine's disk. On UEFI an exit goes on with the next boot option, which may be the same card by
// another protocol, each with its patience; ChainLoad starts localx64.efi, a GRUB with the script below in it.
std::string local_disk_script(LocalBoot way, Ipv4Address server, std::uint16_t http_port);
std::string local_disk_grub_script(LocalBoot way = LocalBoot::Auto);

struct ImageBoot {
    Ipv4Address server;
    std::uint16_t http_port = 8480;  // 0: by TFTP, and an ISO through memory
    std::string name;                // below /boot/images/
    ImageKind kind = ImageKind::Iso;
};
// BIOS: a floppy by memdisk, an ISO read block by block over HTTP, by memdisk when that fails. UEFI: an ISO; a floppy
// is refused on the screen.
Result<std::string> image_script(const ImageBoot& boot);

// What GRUB finds as grub/grub.cfg, whoever asks: it goes on to the file of its own MAC address, at the server it has
// from DHCP or at one of ours.
std::string first_grub_script(const std::vector<Ipv4Address>& servers);

}  // namespace slipway::pxe
