// SPDX-License-Identifier: GPL-3.0-or-later
// First-boot scripts: each runs once, in the order given, when the network is up. What they say is in
// /var/log/slipway-first-boot.log. A script's marker, with its exit code, is on the disk before the next one begins:
// after a power cut the done ones stay done and the one that was cut short begins anew. Pure text.
//
//   /var/lib/slipway/first-boot/run                    the runner
//   /var/lib/slipway/first-boot/scripts/010-NAME.HASH  removed once they are done: there may be passwords in them
//   /var/lib/slipway/first-boot/done/NAME.HASH         the exit code; HASH is of the script, so a changed one runs
//   again
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/personality.hpp"

namespace slipway::fixup {

inline constexpr const char* kFirstBoot = "/var/lib/slipway/first-boot";
inline constexpr const char* kFirstBootLog = "/var/log/slipway-first-boot.log";
inline constexpr const char* kFirstBootName = "slipway-first-boot";

std::string first_boot_id(const FirstBootScript& script);                  // "NAME.HASH"
std::string first_boot_runner(const std::vector<std::string>& own_files);  // removed when all are done
std::string first_boot_unit();
std::string first_boot_openrc();
// An init script for SysV that runs command at start; order: LSB names it comes before and after.
std::string sysv_script(std::string_view name, std::string_view command, std::string_view required,
                        std::string_view before);

// New SSH host keys at the first boot, where the distribution makes none by itself.
inline constexpr const char* kHostKeysName = "slipway-ssh-host-keys";
std::string host_keys_unit();

// Installs the packages below FirstBoot/packages, and is done with them.
FirstBootScript package_script(bool debian);

}  // namespace slipway::fixup
