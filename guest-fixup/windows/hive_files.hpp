// SPDX-License-Identifier: GPL-3.0-or-later
// Hives as files of the guest: read with what their transaction logs hold, written back whole.
#pragma once

#include <string>
#include <vector>

#include "guest-fixup/guest.hpp"
#include "guest-fixup/windows/hive.hpp"

namespace slipway::fixup::windows {

struct LoadedHive {
    Hive hive;
    std::string path;
    bool replayed = false;           // its logs held more than it
    std::vector<std::string> notes;  // of the replay
    std::vector<std::string> logs;   // paths, those that are there
};

inline constexpr std::uint64_t kLargestHive = 512u << 20;

// label: "SYSTEM". Errors: fixup.windows (it is missing), fixup.hive, fixup.hive-log.
Result<LoadedHive> load_hive(const Guest& guest, const std::string& path, const std::string& label);
// name: "SYSTEM", "SOFTWARE", of %SystemRoot%\System32\config.
Result<LoadedHive> load_system_hive(const Guest& guest, const std::string& root, const std::string& name);

// Nothing when it was not changed. Atomic, the old file kept by the journal, each change reported. The logs of a hive
// that was replayed are emptied with it: Windows replays those whose sequence numbers follow the hive's, and what they
// hold is in it already. Those of a clean one stay: their numbers are behind it.
Status write_hive(Guest& guest, LoadedHive& loaded);

}  // namespace slipway::fixup::windows
