// SPDX-License-Identifier: GPL-3.0-or-later
// NT 4's repair\setup.log: which file of the media each installed one is, by which a service pack chooses the HAL and
// kernel that it installs. Left as it was, the next service pack brings the old ones back (Microsoft KB 156358,
// KB 168132). Pure; every byte that is not meant to change stays.
//   [Files.WinNt]
//   \WINNT\system32\hal.dll = "halmps.dll","1a01c"
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::fixup::windows {

struct SetupFile {
    std::string installed;       // "hal.dll", of system32
    std::string source;          // what it is now: "hal.dll", "ntoskrnl.exe"
    std::uint32_t checksum = 0;  // of its header
};
std::string edit_setup_log(std::string_view text, const std::vector<SetupFile>& files);

}  // namespace slipway::fixup::windows
