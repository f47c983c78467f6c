// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/maps/btrfs_map.hpp"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "lib/disks/errors.hpp"
#include "lib/disks/maps/gap_list.hpp"

namespace slipway::disks {

namespace {

constexpr std::uint64_t kSuperAt = 64u << 10;
constexpr std::size_t kSuperBytes = 4096;
// Boot loaders live before the superblock or behind it; then the superblock and its two copies, each alone in 64 KiB.
constexpr std::array kKept{Extent{0, 1u << 20}, Extent{64u << 20, 64u << 10}, Extent{256ull << 30, 64u << 10}};

constexpr std::uint64_t kSuperWritten = 1, kSuperRelocated = 2, kSuperSeed = 1ull << 32;
constexpr std::uint64_t kIncompatMetadataUuid = 0x400;
// All up to raid1c34 (the chunks say which profiles are there) and simple quotas. Zones, extent tree v2, the RAID
// stripe tree and what comes later keep their extents in other ways.
constexpr std::uint64_t kKnownIncompat = 0xfff | 0x10000;
// Free-space tree and its validity, verity, block-group tree.
constexpr std::uint64_t kRoBlockGroupTree = 0x8, kKnownCompatRo = 0xf;

constexpr std::uint64_t kRootTree = 1, kExtentTree = 2, kChunkTree = 3, kBlockGroupTree = 11;
constexpr std::uint64_t kChunkObject = 256, kDeviceObject = 1;
constexpr std::uint8_t kRootItem = 132, kExtentItem = 168, kMetadataItem = 169, kFirstReference = 172,
                       kLastReference = 184, kBlockGroupItem = 192, kDeviceItem = 216, kChunkItem = 228;
constexpr std::uint64_t kChunkKinds = 0x7, kChunkDup = 0x20;  // data, system, metadata

template <typename... Args>
Error damaged(fmt::format_string<Args...> format, Args&&... args) {
    return make_error(errors::kFilesystem, format, std::forward<Args>(args)...);
}

class BtrfsMapper {
public:
    BtrfsMapper(BlockDevice& volume, const BtrfsSuper& super) : volume_(volume), super_(super) {}
    Result<UsedMap> map();

private:
    std::string refusal() const;
    UsedMap whole(std::string why) const;
    Result<UsedMap> map_extents();
    BtrfsTreeReader reader(BtrfsChunkMap& chunks) const {
        return {volume_, chunks, {super_.node_bytes, super_.checksum, super_.metadata_id}};
    }
    Result<BtrfsChunk> parse_chunk(std::uint64_t logical, ByteReader& item) const;
    Result<BtrfsChunkMap> system_chunks() const;
    Status read_chunks();
    Result<BtrfsRoot> find_root(std::uint64_t tree);
    Status on_extent_tree(const BtrfsItem& item);
    Status on_extent(std::uint64_t start, std::uint64_t length);
    Status on_block_group(const BtrfsItem& item);
    Status close_gaps(std::uint64_t end);
    Status check_counts();
    Result<UsedMap> used_map();

    BlockDevice& volume_;
    const BtrfsSuper& super_;
    BtrfsChunkMap chunks_;
    GapList gaps_;                // logical, inside chunks
    std::size_t chunk_ = 0;       // the one being filled
    std::uint64_t position_ = 0;  // logical: what lies before is in gaps_ or used
};

UsedMap BtrfsMapper::whole(std::string why) const {
    UsedMap map;
    map.filesystem = "btrfs";
    map.label = super_.label;
    map.uuid = super_.id.text();
    map.state = super_.checksum_ok && super_.log_root != 0 ? VolumeState::NeedsRecovery : VolumeState::Unknown;
    map.why_all = std::move(why);
    map.used.add({0, volume_.size()});
    return map;
}

std::string BtrfsMapper::refusal() const {
    const auto& s = super_;
    if (!s.checksum_known) return "an unknown kind of checksum";
    if (!s.checksum_ok || s.address != kSuperAt) return "the superblock's checksum is wrong";
    if (s.log_root != 0) return "the log tree needs recovery";
    if (s.flags & kSuperSeed) return "this is a seed of other file systems";
    if (s.flags & ~(kSuperWritten | kSuperRelocated))
        return fmt::format("the file system is marked {:#x}: damaged, dumped or being converted", s.flags);
    if (s.incompat & ~kKnownIncompat) return fmt::format("unknown features {:#x}", s.incompat & ~kKnownIncompat);
    if (s.compat_ro & ~kKnownCompatRo)
        return fmt::format("unknown read-only features {:#x}", s.compat_ro & ~kKnownCompatRo);
    if (s.devices != 1) return fmt::format("the file system spans {} devices", s.devices);
    auto power = [](std::uint32_t value) { return std::has_single_bit(value) && value >= 4096 && value <= 65536; };
    if (!power(s.sector_bytes) || !power(s.node_bytes) || s.node_bytes < s.sector_bytes)
        return "an impossible sector or node size";
    if (s.device_bytes > volume_.size()) return "the file system is larger than its volume";
    return {};
}

Result<BtrfsChunk> BtrfsMapper::parse_chunk(std::uint64_t logical, ByteReader& item) const {
    BtrfsChunk chunk;
    chunk.logical = logical;
    chunk.length = item.le64();
    item.skip(16);  // owner, stripe length
    chunk.type = item.le64();
    item.skip(12);  // alignments
    chunk.copies = item.le16();
    item.skip(2);
    bool dup = chunk.type == (chunk.type & kChunkKinds) + kChunkDup;
    if (item.failed() || (chunk.type & ~kChunkKinds && !dup) || chunk.copies != (dup ? 2u : 1u))
        return damaged("a chunk is of a kind that is not read: {:#x}", chunk.type);
    if (chunk.length == 0 || (logical | chunk.length) % super_.sector_bytes)
        return damaged("a chunk has an impossible size");
    for (unsigned i = 0; i < chunk.copies; ++i) {
        auto device = item.le64();
        chunk.physical[i] = item.le64();
        if (Uuid{item.array<16>()} != super_.device_uuid || device != super_.device_id || item.failed())
            return damaged("a chunk lies on another device");
        if (chunk.physical[i] > super_.device_bytes || chunk.length > super_.device_bytes - chunk.physical[i])
            return damaged("a chunk lies outside the device");
    }
    return chunk;
}

Result<BtrfsChunkMap> BtrfsMapper::system_chunks() const {
    std::vector<BtrfsChunk> chunks;
    for (ByteReader reader(super_.system_chunks); !reader.at_end();) {
        bool object = reader.le64() == kChunkObject && reader.u8() == kChunkItem;
        auto logical = reader.le64();
        if (!object || reader.failed()) return damaged("the superblock's list of chunks is damaged");
        chunks.push_back(TRY(parse_chunk(logical, reader)));
    }
    std::sort(chunks.begin(), chunks.end(), [](const auto& a, const auto& b) { return a.logical < b.logical; });
    BtrfsChunkMap map;
    for (const auto& chunk : chunks)
        if (!map.add(chunk)) return damaged("the superblock's list of chunks is damaged");
    return map;
}

Status BtrfsMapper::read_chunks() {
    auto first = TRY(system_chunks());
    unsigned devices = 0;
    TRY(reader(first).walk(super_.chunk_root, [&](const BtrfsItem& item) -> Status {
        if (item.key.object == kDeviceObject && item.key.type == kDeviceItem) {
            if (++devices > 1 || item.key.offset != super_.device_id) return damaged("there are other devices");
        } else if (item.key.object == kChunkObject && item.key.type == kChunkItem) {
            ByteReader data(item.data);
            if (!chunks_.add(TRY(parse_chunk(item.key.offset, data))))
                return damaged("chunks overlap, or are too many");
        }
        return {};
    }));
    if (devices != 1) return damaged("the device is not in its own list");
    for (const auto& chunk : first.chunks()) {
        auto* same = chunks_.find(chunk.logical);
        if (!same || same->logical != chunk.logical || same->physical != chunk.physical)
            return damaged("the superblock and the chunk tree disagree");
    }
    return {};
}

Result<BtrfsRoot> BtrfsMapper::find_root(std::uint64_t tree) {
    BtrfsRoot root;
    TRY(reader(chunks_).walk(super_.tree_root, {tree, kRootItem, 0}, {tree, kRootItem, ~0ull},
                             [&](const BtrfsItem& item) -> Status {
                                 ByteReader data(item.data);
                                 data.skip(160);  // the inode
                                 root.generation = data.le64();
                                 data.skip(8);
                                 root.logical = data.le64();
                                 data.seek(238);
                                 root.level = data.u8();
                                 if (data.failed()) return damaged("tree {}'s root is damaged", tree);
                                 root.owner = tree;
                                 return {};
                             }));
    if (root.owner != tree) return damaged("tree {} is not there", tree);
    return root;
}

// What lies between position_ and end, both in or at the edges of chunks, is free.
Status BtrfsMapper::close_gaps(std::uint64_t end) {
    auto& chunks = chunks_.chunks();
    for (; chunk_ < chunks.size(); ++chunk_) {
        const auto& chunk = chunks[chunk_];
        auto from = std::max(position_, chunk.logical), to = std::min(end, chunk.logical + chunk.length);
        if (from < to && !gaps_.add({from, to - from})) return damaged("the extents are out of order");
        if (end < chunk.logical + chunk.length) break;
    }
    return {};
}

Status BtrfsMapper::on_extent(std::uint64_t start, std::uint64_t length) {
    auto* chunk = chunks_.find(start);
    if (!chunk || length == 0 || (start | length) % super_.sector_bytes ||
        length > chunk->length - (start - chunk->logical))
        return damaged("an extent lies outside all chunks, at {}", start);
    if (start < position_) return damaged("extents overlap at {}", start);
    TRY(close_gaps(start));
    chunk->used += length;
    position_ = start + length;
    return {};
}

Status BtrfsMapper::on_block_group(const BtrfsItem& item) {
    auto* chunk = chunks_.find(item.key.object);
    ByteReader data(item.data);
    auto used = data.le64();
    data.skip(8);
    auto type = data.le64();
    if (!chunk || chunk->logical != item.key.object || chunk->length != item.key.offset || chunk->type != type ||
        data.failed() || chunk->group_used)
        return damaged("a block group is not that of its chunk");
    chunk->group_used = used;
    return {};
}

Status BtrfsMapper::on_extent_tree(const BtrfsItem& item) {
    auto type = item.key.type;
    if (type == kExtentItem) return on_extent(item.key.object, item.key.offset);
    if (type == kMetadataItem) return on_extent(item.key.object, super_.node_bytes);
    if (type == kBlockGroupItem) return on_block_group(item);
    if (type >= kFirstReference && type <= kLastReference) return {};
    return damaged("the extent tree has an item of unknown type {}", type);
}

Status BtrfsMapper::check_counts() {
    std::uint64_t sum = 0;
    for (const auto& chunk : chunks_.chunks()) {
        if (chunk.group_used != chunk.used)
            return damaged("the block group at {} does not agree with its extents", chunk.logical);
        sum += chunk.used;
    }
    if (sum != super_.bytes_used)
        return damaged("the superblock says {} bytes used, the extents {}", super_.bytes_used, sum);
    return {};
}

// Walks the device from chunk to chunk. Between them nothing is allocated; in them the gaps are free.
class PhysicalMap {
public:
    explicit PhysicalMap(ExtentList& used) : used_(used) {}
    void free(Extent gap) {
        for (const auto& kept : kKept) {
            if (kept.end() <= gap.offset || kept.offset >= gap.end()) continue;
            if (gap.offset < kept.offset) cut({gap.offset, kept.offset - gap.offset});
            if (kept.end() >= gap.end()) return;
            gap = {kept.end(), gap.end() - kept.end()};
        }
        cut(gap);
    }
    void finish(std::uint64_t size) { used_.add({at_, size - at_}); }

private:
    void cut(Extent gap) {
        used_.add({at_, gap.offset - at_});
        at_ = gap.end();
    }
    ExtentList& used_;
    std::uint64_t at_ = 0;  // what lies before is decided
};

Result<UsedMap> BtrfsMapper::used_map() {
    struct Stripe {
        std::uint64_t physical;
        const BtrfsChunk* chunk;
    };
    std::vector<Stripe> stripes;
    for (const auto& chunk : chunks_.chunks())
        for (unsigned i = 0; i < chunk.copies; ++i) stripes.push_back({chunk.physical[i], &chunk});
    std::sort(stripes.begin(), stripes.end(), [](const Stripe& a, const Stripe& b) { return a.physical < b.physical; });

    auto map = whole({});
    map.state = VolumeState::Clean;
    map.used = {};
    PhysicalMap physical(map.used);
    std::uint64_t at = 0;
    for (const auto& stripe : stripes) {
        if (stripe.physical < at) return damaged("chunks overlap on the device at {}", stripe.physical);
        if (at < stripe.physical) physical.free({at, stripe.physical - at});
        auto first = stripe.chunk->logical, end = first + stripe.chunk->length;
        for (auto gap = gaps_.from(first); gap != gaps_.gaps().end() && gap->offset < end; ++gap) {
            auto from = std::max(gap->offset, first), to = std::min(gap->end(), end);
            physical.free({stripe.physical + (from - first), to - from});
        }
        at = stripe.physical + stripe.chunk->length;
    }
    if (at < super_.device_bytes) physical.free({at, super_.device_bytes - at});
    physical.finish(volume_.size());  // with what lies behind the file system
    return map;
}

Result<UsedMap> BtrfsMapper::map_extents() {
    TRY(read_chunks());
    auto extents = TRY(find_root(kExtentTree));
    TRY(reader(chunks_).walk(extents, [&](const BtrfsItem& item) { return on_extent_tree(item); }));
    TRY(close_gaps(~0ull));
    if (super_.compat_ro & kRoBlockGroupTree)
        TRY(reader(chunks_).walk(TRY(find_root(kBlockGroupTree)), [&](const BtrfsItem& item) -> Status {
            return item.key.type == kBlockGroupItem ? on_block_group(item) : Status{};
        }));
    TRY(check_counts());
    return used_map();
}

Result<UsedMap> BtrfsMapper::map() {
    if (auto why = refusal(); !why.empty()) return whole(why);
    auto map = map_extents();
    if (!map.ok() && map.error().is(errors::kFilesystem)) return whole(map.error().message());
    return map;
}

void parse_device_item(ByteReader& reader, BtrfsSuper& s) {
    s.device_id = reader.le64();
    s.device_bytes = reader.le64();
    reader.skip(50);  // used, alignments, type, generation, start, group, speeds
    s.device_uuid = Uuid{reader.array<16>()};
    reader.skip(16);  // the file system's id
}

}  // namespace

std::optional<BtrfsSuper> parse_btrfs_superblock(ByteView head) {
    if (head.size() < kSuperAt + kSuperBytes) return std::nullopt;
    auto block = head.subspan(kSuperAt, kSuperBytes);
    if (as_text(block.subspan(0x40, 8)) != "_BHRfS_M") return std::nullopt;
    ByteReader reader(block);
    BtrfsSuper s;
    reader.seek(0x20);
    s.id = s.metadata_id = Uuid{reader.array<16>()};
    s.address = reader.le64();
    s.flags = reader.le64();
    reader.skip(8);
    s.generation = reader.le64();
    s.tree_root = {kRootTree, reader.le64(), s.generation, 0};
    s.chunk_root = {kChunkTree, reader.le64(), 0, 0};
    s.log_root = reader.le64();
    reader.skip(16);  // log's transaction, total bytes
    s.bytes_used = reader.le64();
    reader.skip(8);
    s.devices = reader.le64();
    s.sector_bytes = reader.le32();
    s.node_bytes = reader.le32();
    reader.skip(8);
    auto system_bytes = reader.le32();
    s.chunk_root.generation = reader.le64();
    reader.skip(8);
    s.compat_ro = reader.le64();
    s.incompat = reader.le64();
    auto checksum = reader.le16();
    s.checksum_known = checksum <= static_cast<std::uint16_t>(BtrfsChecksum::Blake2b);
    s.checksum = static_cast<BtrfsChecksum>(checksum);
    s.checksum_ok = s.checksum_known && btrfs_checksum_ok(block, s.checksum);
    s.tree_root.level = reader.u8();
    s.chunk_root.level = reader.u8();
    reader.skip(1);
    parse_device_item(reader, s);
    auto label = reader.text(256);
    s.label = std::string(label.substr(0, label.find('\0')));
    reader.skip(16);  // cache and UUID tree generations
    if (s.incompat & kIncompatMetadataUuid) s.metadata_id = Uuid{reader.array<16>()};
    reader.seek(0x32b);
    auto chunks = reader.take(std::min<std::size_t>(system_bytes, 2048));
    s.system_chunks.assign(chunks.begin(), chunks.end());
    return s;
}

Result<UsedMap> map_btrfs(BlockDevice& volume, const BtrfsSuper& super) { return BtrfsMapper(volume, super).map(); }

}  // namespace slipway::disks
