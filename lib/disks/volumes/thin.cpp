// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/volumes/thin.hpp"

#include <algorithm>
#include <optional>

#include "lib/disks/errors.hpp"
#include "lib/disks/volumes/crc.hpp"

namespace slipway::disks {

namespace {

constexpr std::size_t kBlock = 4096;
constexpr std::uint64_t kMagic = 27022010;
constexpr std::uint32_t kSuperXor = 160774, kNodeXor = 121107;
constexpr std::uint32_t kNeedsCheck = 1;
constexpr std::uint32_t kInternal = 1, kLeaf = 2;
constexpr std::size_t kNodeHeader = 32;
constexpr unsigned kMaxDepth = 12;
constexpr std::size_t kMaxRuns = 2u << 20;     // 48 MiB of them
constexpr std::uint64_t kMaxNodes = 4u << 20;  // 16 GiB, the largest metadata there is
constexpr std::size_t kMaxDevices = 4096;
constexpr std::uint64_t kNoKey = UINT64_MAX;

template <typename... Args>
Error damaged(fmt::format_string<Args...> format, Args&&... args) {
    return make_error(errors::kVolumeManager, format, std::forward<Args>(args)...);
}

struct Super {
    std::uint64_t transaction, mapping_root, block_bytes;
    std::uint64_t allocated;  // data blocks in use, by the space map
};

Result<Super> read_super(BlockDevice& metadata) {
    if (metadata.size() < kBlock) return damaged("the pool's metadata is too small");
    Bytes block(kBlock);
    TRY(metadata.read(0, block));
    ByteReader in(block);
    auto checksum = in.le32();
    auto flags = in.le32();
    in.seek(32);
    auto magic = in.le64();
    auto version = in.le32();
    if (magic != kMagic || (version != 1 && version != 2) ||
        checksum != (dm_crc32c(ByteView(block).subspan(4)) ^ kSuperXor))
        return damaged("the pool's metadata is damaged: its superblock");
    if (flags & kNeedsCheck) return damaged("the pool's metadata wants a check (thin_check)");
    in.seek(48);
    Super super{};
    super.transaction = in.le64();
    in.seek(72);  // the data space map's root: blocks, allocated, …
    super.allocated = in.le64();
    in.seek(64 + 2 * 128);
    super.mapping_root = in.le64();
    in.skip(8);  // the root of the volumes' details: LVM tells as much
    super.block_bytes = in.le32() * std::uint64_t{512};
    auto metadata_block = in.le32();
    in.seek(in.offset() + 16);
    auto incompatible = in.le32();
    if (metadata_block != kBlock / 512 || incompatible != 0) return damaged("the pool is of a kind unknown here");
    if (super.block_bytes < 65536 || super.block_bytes > (1u << 30) || super.block_bytes % 65536 != 0)
        return damaged("the pool's blocks are of an impossible size");
    return super;
}

struct Node {
    bool leaf = false;
    std::vector<std::uint64_t> keys, values;
};

class Walker {
public:
    explicit Walker(BlockDevice& metadata) : metadata_(metadata), blocks_(metadata.size() / kBlock) {}

    // Calls seen(key, value) for each entry in order. Keys of a child lie between its own key and the next one, which
    // keeps a tree of any shape, a loop too, from being walked twice.
    template <typename Seen>
    Status walk(std::uint64_t root, const Seen& seen) {
        return descend(root, 0, kNoKey, 0, seen);
    }

private:
    template <typename Seen>
    Status descend(std::uint64_t block, std::uint64_t low, std::uint64_t end, unsigned depth, const Seen& seen) {
        if (depth > kMaxDepth) return damaged("the pool's metadata is damaged: a tree without an end");
        auto node = TRY(read(block));
        if (node.keys.empty() && depth > 0) return damaged("the pool's metadata is damaged: an empty node");
        for (std::size_t i = 0; i < node.keys.size(); ++i) {
            auto next = i + 1 < node.keys.size() ? node.keys[i + 1] : end;
            if (node.keys[i] < low || node.keys[i] >= next || node.keys[i] >= end)
                return damaged("the pool's metadata is damaged: keys out of order");
            if (node.leaf) TRY(seen(node.keys[i], node.values[i]));
            else TRY(descend(node.values[i], node.keys[i], next, depth + 1, seen));
        }
        return {};
    }

    Result<Node> read(std::uint64_t block) {
        if (block == 0 || block >= blocks_) return damaged("the pool's metadata is damaged: a node outside it");
        if (++read_ > kMaxNodes) return damaged("the pool has too much metadata to be looked through");
        Bytes bytes(kBlock);
        TRY(metadata_.read(block * kBlock, bytes));
        ByteReader in(bytes);
        auto checksum = in.le32(), flags = in.le32();
        auto number = in.le64();
        auto count = in.le32(), room = in.le32(), value_bytes = in.le32();
        if (checksum != (dm_crc32c(ByteView(bytes).subspan(4)) ^ kNodeXor) || number != block || count > room ||
            room > (kBlock - kNodeHeader) / (8 + 8) || value_bytes != 8 || (flags != kInternal && flags != kLeaf))
            return damaged("the pool's metadata is damaged: block {}", block);
        Node node;
        node.leaf = flags == kLeaf;
        in.seek(kNodeHeader);
        for (std::uint32_t i = 0; i < count; ++i) node.keys.push_back(in.le64());
        in.seek(kNodeHeader + std::size_t{room} * 8);
        for (std::uint32_t i = 0; i < count; ++i) node.values.push_back(in.le64());
        return node;
    }

    BlockDevice& metadata_;
    std::uint64_t blocks_;
    std::uint64_t read_ = 0;
};

void add_run(std::vector<ThinRun>& runs, std::uint64_t virtual_block, std::uint64_t data_block) {
    if (!runs.empty()) {
        auto& last = runs.back();
        if (last.virtual_block + last.count == virtual_block && last.data_block + last.count == data_block) {
            ++last.count;
            return;
        }
    }
    runs.push_back({virtual_block, data_block, 1});
}

}  // namespace

Result<ThinPool> read_thin_pool(BlockDevice& metadata, std::uint64_t data_bytes) {
    auto super = TRY(read_super(metadata));
    ThinPool pool{super.block_bytes, super.transaction, {}};
    auto data_blocks = data_bytes / super.block_bytes;
    Walker walker(metadata);
    std::vector<std::pair<std::uint64_t, std::uint64_t>> roots;  // device, root of its mappings
    TRY(walker.walk(super.mapping_root, [&](std::uint64_t device, std::uint64_t root) -> Status {
        roots.emplace_back(device, root);
        return roots.size() > kMaxDevices ? Status(damaged("the pool has too many volumes")) : Status();
    }));
    std::size_t total = 0;
    ExtentSet blocks;
    for (const auto& [device, root] : roots) {
        auto& runs = pool.devices[device];
        TRY(walker.walk(root, [&](std::uint64_t virtual_block, std::uint64_t value) -> Status {
            auto data_block = value >> 24;  // below it: the time of the mapping
            if (data_block >= data_blocks) return damaged("the pool's metadata is damaged: a block outside it");
            add_run(runs, virtual_block, data_block);
            return total + runs.size() > kMaxRuns ? Status(damaged("the pool is too fragmented to be looked through"))
                                                  : Status();
        }));
        total += runs.size();
        for (const auto& run : runs) blocks.add({run.data_block, run.count});
    }
    // Blocks may be allocated and mapped no more (a metadata snapshot, a leak), never the other way round.
    if (blocks.cut_to(data_blocks).total() > super.allocated)
        return damaged("the pool's metadata is damaged: mapped blocks that are not allocated");
    return pool;
}

ThinVolume::Spot ThinVolume::spot(std::uint64_t offset) const {
    auto block = offset / block_;
    auto after = std::upper_bound(runs_.begin(), runs_.end(), block,
                                  [](std::uint64_t b, const ThinRun& run) { return b < run.virtual_block; });
    if (after != runs_.begin()) {
        const auto& run = *std::prev(after);
        if (auto into = block - run.virtual_block; into < run.count)
            return {true, (run.data_block + into) * block_ + offset % block_,
                    (run.count - into) * block_ - offset % block_};
    }
    auto next = after == runs_.end() || after->virtual_block > size_ / block_ ? size_ : after->virtual_block * block_;
    return {false, 0, std::max(next, offset + 1) - offset};
}

Status ThinVolume::read(std::uint64_t offset, std::span<std::byte> buffer) {
    TRY(check_range(offset, buffer.size()));
    while (!buffer.empty()) {
        auto here = spot(offset);
        auto n = std::min<std::uint64_t>(buffer.size(), here.left);
        if (here.mapped) TRY(members_[0]->read(here.at, buffer.first(n)));
        else std::fill_n(buffer.begin(), n, std::byte{0});
        buffer = buffer.subspan(n);
        offset += n;
    }
    return {};
}

void ThinVolume::place(Extent bytes, std::span<ExtentSet> members) const {
    while (bytes.length > 0) {
        auto here = spot(bytes.offset);
        auto n = std::min(bytes.length, here.left);
        if (here.mapped) members[0].add({here.at, n});
        bytes = {bytes.offset + n, bytes.length - n};
    }
}

}  // namespace slipway::disks
