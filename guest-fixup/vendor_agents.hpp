// SPDX-License-Identifier: GPL-3.0-or-later
// The P2V drivers file (VSMT's P2Vdrivers.xml): what of the old hardware is not to start on the new one.
//
//   <Configuration>
//     <Service Name="hp-health" Start="Disable"/>      a systemd unit, an init script
//     <Driver  Name="hpilo"     Start="Disable"/>      a kernel module
//     <Program Name="hpssacli"  Action="Remove"/>      what autostart entries, rc.local, inittab and @reboot start
//   </Configuration>
//
// '*' in a name stands for any characters. In a Windows guest a service and a driver are keys of Services, a program is
// what autorun values and Startup folders start (windows/agents.hpp). The reader is our own: these three elements and
// comments are all there is, and an XML library in C++ would bring libstdc++ into the agent's ramdisk.
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

// Names of Windows hold spaces and more; such a one means nothing to a Linux guest, and is skipped there.
enum class NamesOf { Linux, Windows };

// Pure; the bytes are hostile. No DOCTYPE, no entities but XML's own five, no nesting. Errors: fixup.drivers-file.
Result<DriversFile> parse_drivers_file(std::string_view xml, NamesOf names = NamesOf::Linux);
// Printable, without '\\' and '/'; three letters at least when there is a '*'.
bool valid_windows_pattern(std::string_view pattern);

// "blacklist" stops a module from being loaded for its device, "install" from being loaded at all.
std::string blacklist_file(const std::vector<std::string>& modules);

}  // namespace slipway::fixup
