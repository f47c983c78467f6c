// SPDX-License-Identifier: GPL-3.0-or-later
// Which directories of a volume are a Windows, and what its registry says of it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "guest-fixup/windows/system.hpp"

namespace slipway::fixup::windows {

// Directories at the top of a volume that have System32\config with SYSTEM and SOFTWARE, in the file system's own
// spelling: "/WINDOWS". Windows.old is none: its own lies deeper.
std::vector<std::string> system_roots(const Guest& guest);

// The one that boot.ini's default entry names, "multi(0)disk(0)rdisk(0)partition(1)\WINNT", when it is among them.
std::optional<std::string> named_by_boot_ini(std::string_view boot_ini, const std::vector<std::string>& roots);

// From HKLM\SYSTEM and HKLM\SOFTWARE. Errors: fixup.windows (what is missing, or a processor that nobody repairs it
// for: Itanium, Alpha), fixup.hive.
Result<WindowsSystem> describe_windows(const std::string& root, const Hive& system, const Hive& software);

}  // namespace slipway::fixup::windows
