// SPDX-License-Identifier: GPL-3.0-or-later
// ext2/3/4 by used blocks. Layout: Linux Documentation/filesystems/ext4 (super, group_descr, bitmaps).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lib/disks/used_map.hpp"

namespace slipway::disks {

struct ExtSuper {
    std::uint64_t blocks = 0, free_blocks = 0;
    std::uint32_t block_bytes = 0;
    std::uint32_t first_data_block = 0;
    std::uint32_t blocks_per_group = 0, inodes_per_group = 0;
    std::uint16_t inode_bytes = 0;
    std::uint16_t descriptor_bytes = 32;
    std::uint32_t reserved_gdt_blocks = 0;
    std::uint16_t state = 0;
    std::uint32_t compat = 0, incompat = 0, ro_compat = 0;
    std::uint32_t first_meta_group = 0;
    std::uint32_t backup_groups[2] = {0, 0};  // sparse_super2
    std::string label, uuid;

    std::uint64_t groups() const;
    std::string kind() const;  // "ext2", "ext3", "ext4"
};

// head: the first 2048 bytes or more. nullopt when there is no ext magic.
std::optional<ExtSuper> parse_ext_superblock(ByteView head);
// Never misses a used block: whatever does not add up makes the whole volume used, and says why.
Result<UsedMap> map_ext(BlockDevice& volume, const ExtSuper& super);

}  // namespace slipway::disks
