// SPDX-License-Identifier: GPL-3.0-or-later
// Linux software RAID: superblocks 0.90, 1.0, 1.1, 1.2, and arrays over their members.
// Sources: Linux include/uapi/linux/raid/md_p.h (superblocks), drivers/md/{raid0,raid5,raid10}.c (where a sector
// lies), Documentation/admin-guide/md.rst; md-bitmap.h for the write-intent bitmap.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/uuid.hpp"
#include "lib/disks/volumes/stack.hpp"

namespace slipway::disks {

struct MdSuper {
    std::string version;  // "0.90", "1.0", "1.1", "1.2"
    Uuid set;             // of the array
    std::string name;     // "host:0"; 0.90: "0"
    int level = 0;        // -1 linear, 0, 1, 4, 5, 6, 10
    std::uint32_t layout = 0;
    std::uint64_t chunk = 0;      // bytes
    std::uint32_t disks = 0;      // members of a whole array
    std::uint32_t active = 0;     // of these, as many were in it when this was written
    std::uint64_t component = 0;  // bytes used of each member (raid1 and up)
    std::uint64_t events = 0;
    std::uint64_t data = 0;        // bytes: where this member's share begins …
    std::uint64_t room = 0;        // … and how much of it there may be
    std::uint64_t super = 0;       // where the superblock lies
    std::optional<unsigned> role;  // none: a spare
    std::vector<Extent> metadata;  // superblock, bitmap, bad block list
    std::string trouble;           // not empty: why the array is not looked through
};

// nullopt: no member. A superblock whose checksum does not agree counts as none.
Result<std::optional<MdSuper>> read_md_super(BlockDevice& volume);

// "md127" or "md/name", as the array is called once it is assembled.
std::string md_name(const MdSuper& super);
// "raid5"
std::string md_level(const MdSuper& super);

// The array over members in the order of their roles, all of them there. errors::kVolumeManager: they do not belong
// together, or the array is not clean, or of a kind that is not looked through.
Result<std::unique_ptr<StackedVolume>> assemble_md(const std::vector<const MdSuper*>& supers,
                                                   std::vector<BlockDevice*> members);

}  // namespace slipway::disks
