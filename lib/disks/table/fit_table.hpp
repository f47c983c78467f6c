// SPDX-License-Identifier: GPL-3.0-or-later
// Fits the partition table of a disk to a size it was not made for: after an image was laid onto a larger disk.
// libparted does the table work, on a sparse copy of the sectors that hold the table; what it changed there is checked
// and then written to the disk, so any BlockDevice serves (a VHD too) and nothing but table sectors is touched.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "lib/disks/layout.hpp"

namespace slipway::disks {

struct FitReport {
    bool backup_moved = false;       // GPT: backup header and entries now at the end of the disk
    std::optional<Partition> grown;  // as it is now
    std::uint64_t grown_from = 0;    // its length before, bytes
    std::vector<std::string> notes;  // what was left as it is, and why
};

// GPT: the backup goes to the end of the disk, always. `grow` (a partition's number; 0: none): that partition takes
// the free space behind it, whole MiB; a logical one takes its container along. Boot code, disk id, partition ids,
// names and attributes stay; so does a hybrid MBR, whose record of a grown partition follows it. Errors:
// disks.no-partition, .no-room (something lies behind it), .partition-table (damaged, or libparted refuses); the disk
// is untouched after each of them.
Result<FitReport> fit_table(BlockDevice& disk, unsigned grow = 0);

}  // namespace slipway::disks
