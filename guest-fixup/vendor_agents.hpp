// SPDX-License-Identifier: GPL-3.0-or-later
// The P2V drivers file (VSMT's P2Vdrivers.xml): what of the old hardware is not to start on the new one.
//
//   <Configuration>
//     <Service Name="hp-health" Start="Disable"/>      a systemd unit, an init script
//     <Driver  Name="hpilo"     Start="Disable"/>      a kernel module
//     <Program Name="hpssacli"  Action="Remove"/>      what autostart entries, rc.local, inittab and @reboot start
//   </Configuration>
//
// '*' in a name stands for any characters. The reader is our own: these three elements and comments are all there is,
// and an XML library in C++ would bring libstdc++ into the agent's ramdisk.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.hpp"

namespace slipway::fixup {

struct DriversFile {
    std::vector<std::string> services, drivers, programs;
    std::vector<std::string> warnings;  // what is not understood and skipped, with its line
};

inline constexpr std::size_t kLongestDriversFile = 1u << 20;

// Pure; the bytes are hostile. No DOCTYPE, no entities but XML's own five, no nesting. Errors: fixup.drivers-file.
Result<DriversFile> parse_drivers_file(std::string_view xml);

// "blacklist" stops a module from being loaded for its device, "install" from being loaded at all.
std::string blacklist_file(const std::vector<std::string>& modules);

}  // namespace slipway::fixup
