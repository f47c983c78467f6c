// SPDX-License-Identifier: GPL-3.0-or-later
// btrfs below its trees' meaning: checksums, the chunk map from logical to physical, and a walk over one tree.
// Layout: btrfs on-disk format (btrfs.readthedocs.io), linux/btrfs_tree.h; little-endian.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/uuid.hpp"
#include "lib/disks/used_map.hpp"

namespace slipway::disks {

enum class BtrfsChecksum : std::uint16_t { Crc32c = 0, Xxhash64 = 1, Sha256 = 2, Blake2b = 3 };
// Superblocks and tree blocks begin with 32 bytes for the checksum of what follows them.
bool btrfs_checksum_ok(ByteView block, BtrfsChecksum kind);

struct BtrfsKey {
    std::uint64_t object = 0;
    std::uint8_t type = 0;
    std::uint64_t offset = 0;
    auto operator<=>(const BtrfsKey&) const = default;
};

// A range of logical addresses and where its bytes lie on this device, twice with DUP.
struct BtrfsChunk {
    std::uint64_t logical = 0, length = 0;
    std::uint64_t type = 0;
    std::array<std::uint64_t, 2> physical{};
    unsigned copies = 0;
    std::uint64_t used = 0;                   // by the extents seen in it
    std::optional<std::uint64_t> group_used;  // by its block group
};

// Sorted by logical address, disjoint; at most kLimit.
class BtrfsChunkMap {
public:
    static constexpr std::size_t kLimit = 1u << 18;  // 256 TiB in chunks of 1 GiB
    bool add(const BtrfsChunk& chunk);               // false: out of order, overlapping or too many
    BtrfsChunk* find(std::uint64_t logical);         // the chunk that address lies in
    std::vector<BtrfsChunk>& chunks() { return chunks_; }

private:
    std::vector<BtrfsChunk> chunks_;
};

struct BtrfsRoot {
    std::uint64_t owner = 0;  // the tree's number
    std::uint64_t logical = 0;
    std::uint64_t generation = 0;
    std::uint8_t level = 0;
};

struct BtrfsItem {
    BtrfsKey key;
    ByteView data;
};

// Reads one tree, depth first from the left, and checks every block's checksum, address, owner, generation, level and
// order of keys. A block that does not pass is errors::kFilesystem, unless its second copy does. No block is
// visited twice, since its address comes with a key that must be above all before it.
class BtrfsTreeReader {
public:
    struct Volume {
        std::uint32_t node_bytes = 0;
        BtrfsChecksum checksum = BtrfsChecksum::Crc32c;
        Uuid id;  // that of the metadata
    };
    BtrfsTreeReader(BlockDevice& device, BtrfsChunkMap& chunks, const Volume& volume)
        : device_(device), chunks_(chunks), volume_(volume) {}

    using OnItem = std::function<Status(const BtrfsItem&)>;
    // The items with from <= key <= to, in order.
    Status walk(const BtrfsRoot& root, const BtrfsKey& from, const BtrfsKey& to, const OnItem& on_item);
    Status walk(const BtrfsRoot& root, const OnItem& on_item);

private:
    struct Level {
        Bytes content;
        std::uint32_t count = 0, next = 0;
    };
    struct Pointer {
        std::uint64_t logical = 0, generation = 0;
        std::optional<BtrfsKey> first;
    };
    Status load(const BtrfsRoot& root, const Pointer& at, std::size_t level);
    Result<bool> load_copy(std::uint64_t physical, const BtrfsRoot& root, const Pointer& at, std::size_t level);
    bool is_sound(const BtrfsRoot& root, const Pointer& at, std::size_t level);
    bool keys_ascend(const Level& at, std::size_t level, const Pointer& from) const;
    Status read_leaf(Level& leaf, const BtrfsKey& from, const BtrfsKey& to, const OnItem& on_item) const;
    Pointer pointer(const Level& at, std::uint32_t index) const;

    BlockDevice& device_;
    BtrfsChunkMap& chunks_;
    Volume volume_;
    std::vector<Level> levels_;
    std::uint64_t visited_ = 0;
};

}  // namespace slipway::disks
