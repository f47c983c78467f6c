// SPDX-License-Identifier: GPL-3.0-or-later
// What a hive's transaction logs hold and the hive does not: a system that was not shut down, or that (from Windows 8.1
// on) simply has not yet written its hives. Pure. Format facts: https://github.com/msuhanov/regf, "Transaction log
// files". Old logs ("DIRT" bitmap, Windows 2000 to 8) and new ones ("HvLE" entries with Marvin32 hashes).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.hpp"

namespace slipway::fixup::windows {

// Walks header, bins and every cell that can be reached; every offset, length and depth is checked, no cell is reached
// twice. Errors: fixup.hive.
Status check_hive(std::string_view bytes);

// Sequence numbers differ, or the header's checksum is wrong.
bool is_dirty(std::string_view hive);

struct Replayed {
    std::string hive;                // clean
    std::vector<std::string> notes;  // "SYSTEM.LOG1: 3 entries, sequence 14 to 16"
};
// logs: the contents of .LOG, .LOG1 and .LOG2, those that are there. A hive that is clean and has nothing newer in its
// logs comes back as it is. Errors: fixup.hive-log (dirty, and no log mends it: what to do), fixup.hive.
Result<Replayed> replay(std::string hive, const std::vector<std::string>& logs);

}  // namespace slipway::fixup::windows
