// SPDX-License-Identifier: GPL-3.0-or-later
// XFS (versions 4 and 5) by used blocks: what the free-space B-trees do not list. Layout: XFS Algorithms & Data
// Structures, 3rd edition (superblock, AG free space, B-trees); big-endian.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lib/base/uuid.hpp"
#include "lib/disks/used_map.hpp"

namespace slipway::disks {

struct XfsSuper {
    unsigned version = 0;
    std::uint16_t flags = 0;  // sb_versionnum without the version
    std::uint32_t features2 = 0, incompat = 0, ro_compat = 0;
    std::uint32_t block_bytes = 0, sector_bytes = 0;
    std::uint64_t blocks = 0, free_blocks = 0;
    std::uint64_t realtime_blocks = 0;
    std::uint64_t root_inode = 0;
    std::uint32_t group_blocks = 0, groups = 0;
    std::uint8_t group_blocks_log = 0, inodes_per_block_log = 0;
    std::uint64_t log_start = 0;  // AG number << group_blocks_log | block in it; 0: on another device
    std::uint32_t log_blocks = 0;
    bool in_progress = false;  // mkfs or xfs_copy has not finished
    bool checksum_ok = true;
    Uuid id, metadata_id;  // the latter is what version 5 metadata carries
    std::string label;
};

// head: the first 33 KiB or more. nullopt when there is no XFS magic.
std::optional<XfsSuper> parse_xfs_superblock(ByteView head);
// Never misses a used block: whatever does not add up makes the whole volume used, and says why. Memory: two lists
// of at most GapList::kLimit extents, 40 MiB while the second grows, and the numbers of one AG's tree blocks.
Result<UsedMap> map_xfs(BlockDevice& volume, const XfsSuper& super);

}  // namespace slipway::disks
