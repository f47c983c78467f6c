// SPDX-License-Identifier: GPL-3.0-or-later
// btrfs on one device by used blocks: what the extent tree lists, through the chunks, once or twice (DUP). Layout:
// btrfs on-disk format (btrfs.readthedocs.io), linux/btrfs_tree.h.
//
// The extent tree of the transaction in the superblock lists every extent and tree block that transaction needs,
// its own included. What is not in it may be overwritten by the next mount, so nothing needs it: blocks that
// transaction freed, and the older trees which the superblock's backup roots name. The one exception is the log
// tree of an fsync, whose blocks are in no tree; with one to replay, every sector counts. The free-space cache and
// tree are not asked.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lib/disks/maps/btrfs_tree.hpp"
#include "lib/disks/used_map.hpp"

namespace slipway::disks {

struct BtrfsSuper {
    bool checksum_known = false, checksum_ok = false;
    std::uint64_t address = 0;  // its own
    std::uint64_t flags = 0, compat_ro = 0, incompat = 0;
    std::uint64_t generation = 0;
    BtrfsRoot tree_root, chunk_root;
    std::uint64_t log_root = 0;
    std::uint64_t bytes_used = 0;  // logical: a DUP byte counts once
    std::uint64_t devices = 0;
    std::uint64_t device_id = 0, device_bytes = 0;
    Uuid device_uuid;
    std::uint32_t sector_bytes = 0, node_bytes = 0;
    BtrfsChecksum checksum = BtrfsChecksum::Crc32c;
    Uuid id, metadata_id;
    std::string label;
    Bytes system_chunks;  // what is needed to read the chunk tree
};

// head: the first 68 KiB or more. nullopt when there is no btrfs magic.
std::optional<BtrfsSuper> parse_btrfs_superblock(ByteView head);
// Never misses a used block: whatever does not add up makes the whole volume used, and says why. Memory: one list
// of at most GapList::kLimit gaps (16 MiB) and the map, at most two extents a gap (32 MiB; 48 while it grows).
Result<UsedMap> map_btrfs(BlockDevice& volume, const BtrfsSuper& super);

}  // namespace slipway::disks
