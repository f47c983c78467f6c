// SPDX-License-Identifier: GPL-3.0-or-later
// Sectors of the disk that a repair changes beside the files: what they are to be, and a record of what they were, in
// %SystemRoot%\slipway\sectors.json, so that they go back like a file does.
//   {"sectors":[{"offset":N,"what":…,"before":HEX,"after":HEX,"run":N}]}    512 bytes each
// run: of the repair's journal (journal_format.hpp); what was finished before it is one entry for each sector.
// The guest owns that file: it is hostile bytes. Only the first sector of its disk and of its partitions can be meant.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/fixup.hpp"
#include "guest-fixup/windows/disk_place.hpp"
#include "lib/base/bytes.hpp"
#include "lib/disks/block.hpp"

namespace slipway::fixup::windows {

struct SectorEdit {
    std::uint64_t offset = 0;  // bytes
    std::string what;          // "boot sector of partition 1: …"
    Bytes before, after;
    std::uint64_t run = 0;
    bool operator==(const SectorEdit&) const = default;
};

inline constexpr std::size_t kMostSectors = 64;

std::string to_json(const std::vector<SectorEdit>& edits);
// Errors: fixup.journal.
Result<std::vector<SectorEdit>> parse_sectors(std::string_view json);
// The record of a repair after finished ones: of those one entry for each sector, of this one its own.
std::vector<SectorEdit> joined(const std::vector<SectorEdit>& finished, const std::vector<SectorEdit>& later);
// What was changed in that run and later ones.
std::vector<SectorEdit> edits_since(std::vector<SectorEdit> edits, std::uint64_t run);

struct SectorWishes {
    bool geometry = false;             // NT before 6.0, started by a BIOS
    std::uint32_t lost_signature = 0;  // for a disk that has none; 0: nobody knows one
};
// Nothing of a disk without an MBR, or with sectors of another size.
Result<std::vector<SectorEdit>> plan_sectors(disks::BlockDevice& disk, const DiskPlace& place,
                                             const SectorWishes& wishes);

// Each goes on where it is so already. Errors: fixup.changed-since before anything is written.
Status write_sectors(disks::BlockDevice& disk, const DiskPlace& place, const std::vector<SectorEdit>& edits);
// Each sector as it was before the first of these edits of it, but not behind what others made of it between two of
// them; what was taken back. One that is none of what they made of it is errors::kChangedSince. dry_run writes nothing.
Result<std::vector<Change>> take_back_sectors(disks::BlockDevice& disk, const DiskPlace& place,
                                              const std::vector<SectorEdit>& edits, bool dry_run);

Change change_of(const SectorEdit& edit);

}  // namespace slipway::fixup::windows
