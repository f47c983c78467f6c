// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/maps/xfs_map.hpp"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "lib/disks/errors.hpp"
#include "lib/disks/maps/checksums.hpp"
#include "lib/disks/maps/gap_list.hpp"
#include "lib/disks/maps/xfs_log.hpp"

namespace slipway::disks {

namespace {

using namespace std::string_view_literals;

constexpr std::uint16_t kHasFeatures2 = 0x8000;
constexpr std::uint32_t kLazyCounters = 0x2;
constexpr std::uint32_t kIncompatMetaUuid = 0x4, kIncompatNeedsRepair = 0x10;
// ftype, sparse inodes, meta_uuid, bigtime, needsrepair, nrext64, exchange-range, parent pointers: none of them
// changes how free space is kept. Later ones (metadata directory, zones) are not known to be so.
constexpr std::uint32_t kKnownIncompat = 0xff;
constexpr std::uint32_t kRoFreeInodes = 0x1, kRoReverseMap = 0x2, kRoReflink = 0x4, kKnownRoCompat = 0xf;

constexpr std::uint32_t kNoBlock = 0xffffffff;
constexpr unsigned kMaxLevels = 9;

// A tree of a group's free extents: one by place, one by size. Both list the same.
struct TreeKind {
    std::string_view name, magic4, magic5;
    bool by_size;
};
constexpr TreeKind kByPlace{"bnobt", "ABTB"sv, "AB3B"sv, false};
constexpr TreeKind kBySize{"cntbt", "ABTC"sv, "AB3C"sv, true};

struct FreeExtent {
    std::uint32_t start = 0, length = 0;
};

struct Group {
    std::uint64_t number = 0, offset = 0;  // bytes
    std::uint32_t blocks = 0;
    std::uint32_t place_root = 0, size_root = 0, place_levels = 0, size_levels = 0;
    std::uint32_t list_first = 0, list_last = 0, list_count = 0;
    std::uint32_t free_blocks = 0, longest = 0, tree_blocks = 0;
    std::vector<std::uint32_t> other_roots;  // inode, reverse map and reference count trees
};

// What a walk over one tree saw.
struct TreeSum {
    std::uint64_t blocks = 0, digest = 0;
    std::uint32_t longest = 0;
    FreeExtent last;
    bool any = false;
};

template <typename... Args>
Error damaged(fmt::format_string<Args...> format, Args&&... args) {
    return make_error(errors::kFilesystem, format, std::forward<Args>(args)...);
}

bool checksum_ok(ByteView sector, std::size_t at) {
    ByteReader reader(sector);
    reader.seek(at);
    auto stored = reader.le32();
    constexpr std::array<std::byte, 4> kZeros{};
    if (reader.failed()) return false;
    return crc32c(sector.subspan(at + 4), crc32c(kZeros, crc32c(sector.first(at)))) == stored;
}

// One tree, depth first from the left. Sibling links must lead through each level as the parents do, which also
// makes a loop impossible.
class TreeWalk {
public:
    TreeWalk(BlockDevice& volume, const XfsSuper& super, const Group& group, const TreeKind& kind)
        : volume_(volume), super_(super), group_(group), kind_(kind) {}
    // record(FreeExtent) -> Status, in the tree's order. Every block of the tree goes to `nodes`.
    template <typename OnRecord>
    Status run(std::uint32_t root, std::uint32_t levels, std::vector<std::uint32_t>& nodes, OnRecord record);

private:
    struct Level {
        Bytes content;
        std::uint32_t block = kNoBlock, right = kNoBlock;
        std::uint32_t count = 0, next = 0;
    };
    Status load(std::uint32_t block, std::uint32_t level, bool is_root);
    Status check_owner(ByteReader& reader, const Level& at) const;
    std::size_t header_bytes() const { return super_.version == 5 ? 56 : 16; }
    std::uint32_t child(const Level& at, std::size_t index) const;

    BlockDevice& volume_;
    const XfsSuper& super_;
    const Group& group_;
    const TreeKind& kind_;
    std::vector<Level> levels_;
};

Status TreeWalk::check_owner(ByteReader& reader, const Level& at) const {
    auto device_block = (group_.offset + std::uint64_t{at.block} * super_.block_bytes) / 512;
    bool place = reader.be64() == device_block;
    reader.skip(8);  // last modified
    bool id = Uuid{reader.array<16>()} == super_.metadata_id;
    bool owner = reader.be32() == group_.number;
    if (!place || !id || !owner || !checksum_ok(at.content, reader.offset()))
        return damaged("block {} of AG {}'s {} has a bad checksum or owner", at.block, group_.number, kind_.name);
    return {};
}

Status TreeWalk::load(std::uint32_t block, std::uint32_t level, bool is_root) {
    if (block == 0 || block >= group_.blocks)
        return damaged("AG {}'s {} points outside the AG", group_.number, kind_.name);
    auto& at = levels_[level];
    auto left = at.block, expected = at.right;
    at.content.resize(super_.block_bytes);
    TRY(volume_.read(group_.offset + std::uint64_t{block} * super_.block_bytes, at.content));
    ByteReader reader(at.content);
    bool magic = reader.text(4) == (super_.version == 5 ? kind_.magic5 : kind_.magic4);
    bool same_level = reader.be16() == level;
    at.count = reader.be16();
    bool linked = reader.be32() == left && (left == kNoBlock || expected == block);
    at.right = reader.be32();
    at.block = block;
    at.next = 0;
    auto most = (super_.block_bytes - header_bytes()) / (level == 0 ? 8 : 12);
    if (!magic || !same_level || !linked || at.count > most || (at.count == 0 && !(is_root && level == 0)))
        return damaged("block {} of AG {}'s {} is damaged", block, group_.number, kind_.name);
    if (super_.version == 5) TRY(check_owner(reader, at));
    return {};
}

std::uint32_t TreeWalk::child(const Level& at, std::size_t index) const {
    auto most = (super_.block_bytes - header_bytes()) / 12;
    ByteReader reader(at.content);
    reader.seek(header_bytes() + most * 8 + index * 4);  // behind all the keys there could be
    return reader.be32();
}

template <typename OnRecord>
Status TreeWalk::run(std::uint32_t root, std::uint32_t levels, std::vector<std::uint32_t>& nodes, OnRecord record) {
    if (levels == 0 || levels > kMaxLevels)
        return damaged("AG {}'s {} has {} levels", group_.number, kind_.name, levels);
    levels_.assign(levels, {});
    nodes.push_back(root);
    TRY(load(root, levels - 1, true));
    for (auto level = levels - 1; level < levels;) {
        auto& at = levels_[level];
        if (level == 0) {
            ByteReader reader(at.content);
            reader.seek(header_bytes());
            for (; at.next < at.count; ++at.next) {
                auto start = reader.be32();
                TRY(record(FreeExtent{start, reader.be32()}));
            }
        }
        if (at.next == at.count) {
            ++level;
            continue;
        }
        auto block = child(at, at.next++);
        nodes.push_back(block);
        TRY(load(block, --level, false));
    }
    for (const auto& at : levels_)
        if (at.right != kNoBlock) return damaged("AG {}'s {} has lost a part", group_.number, kind_.name);
    return {};
}

class XfsMapper {
public:
    XfsMapper(BlockDevice& volume, const XfsSuper& super) : volume_(volume), super_(super) {}
    Result<UsedMap> map();

private:
    std::string refusal() const;
    std::string impossible() const;
    UsedMap whole(std::string why) const;
    Result<UsedMap> map_blocks();
    Result<Group> read_group(std::uint64_t number);
    Status read_free_space(Group& group, ByteView sector);
    Status read_inode_root(Group& group, ByteView sector);
    Status map_group(const Group& group);
    Result<TreeSum> walk(const Group& group, const TreeKind& kind, std::vector<std::uint32_t>& nodes);
    Status check_free_list(const Group& group);
    Status must_be_used(const Group& group, std::uint64_t block, std::string_view what) const;
    Status check_fixed_places() const;
    UsedMap used_map() const;
    std::uint64_t sectors(std::uint64_t count) const { return count * super_.sector_bytes; }
    std::uint64_t group_bytes() const { return std::uint64_t{super_.group_blocks} * super_.block_bytes; }
    std::uint64_t log_offset() const;

    BlockDevice& volume_;
    const XfsSuper& super_;
    GapList gaps_;
    std::uint64_t free_seen_ = 0;  // as sb_fdblocks counts
    bool needs_recovery_ = false;
};

UsedMap XfsMapper::whole(std::string why) const {
    UsedMap map;
    map.filesystem = "xfs";
    map.label = super_.label;
    map.uuid = super_.id.text();
    map.state = needs_recovery_ ? VolumeState::NeedsRecovery : VolumeState::Unknown;
    map.why_all = std::move(why);
    map.used.add({0, volume_.size()});
    return map;
}

std::uint64_t XfsMapper::log_offset() const {
    auto group = super_.log_start >> super_.group_blocks_log;
    auto block = super_.log_start & ((std::uint64_t{1} << super_.group_blocks_log) - 1);
    return group * group_bytes() + block * super_.block_bytes;
}

std::string XfsMapper::refusal() const {
    const auto& s = super_;
    if (s.version != 4 && s.version != 5) return fmt::format("XFS version {} is not read by blocks", s.version);
    if (s.in_progress) return "the file system is still being made or copied";
    if (s.version == 5) {
        if (!s.checksum_ok) return "the superblock's checksum is wrong";
        if (s.incompat & ~kKnownIncompat) return fmt::format("unknown features {:#x}", s.incompat & ~kKnownIncompat);
        if (s.ro_compat & ~kKnownRoCompat)
            return fmt::format("unknown read-only features {:#x}", s.ro_compat & ~kKnownRoCompat);
        if (s.incompat & kIncompatNeedsRepair) return "xfs_repair was started and has not finished";
    }
    if (s.realtime_blocks != 0) return "a part of the file system is on a real-time device";
    if (s.log_start == 0) return "the log is on another device";
    return impossible();
}

std::string XfsMapper::impossible() const {
    const auto& s = super_;
    auto power = [](std::uint32_t value, std::uint32_t low, std::uint32_t high) {
        return std::has_single_bit(value) && value >= low && value <= high;
    };
    if (!power(s.block_bytes, 512, 65536) || !power(s.sector_bytes, 512, 32768) || s.sector_bytes > s.block_bytes)
        return "an impossible block or sector size";
    if (s.group_blocks < 64 || s.group_blocks == kNoBlock || sectors(4) > group_bytes() ||
        s.group_blocks_log != std::bit_width(s.group_blocks - 1) || s.inodes_per_block_log > 16)
        return "an impossible AG size";
    if (s.blocks == 0 || s.blocks > volume_.size() / s.block_bytes) return "the file system is larger than its volume";
    if (s.groups != (s.blocks - 1) / s.group_blocks + 1) return "an impossible count of AGs";
    auto group = s.log_start >> s.group_blocks_log;
    auto block = s.log_start & ((std::uint64_t{1} << s.group_blocks_log) - 1);
    if (group >= s.groups || block + s.log_blocks > s.group_blocks ||
        group * s.group_blocks + block + s.log_blocks > s.blocks)
        return "the log lies outside its AG";
    return {};
}

Status XfsMapper::read_free_space(Group& group, ByteView sector) {
    ByteReader reader(sector);
    bool magic = reader.text(4) == "XAGF" && reader.be32() == 1;
    bool place = reader.be32() == group.number && reader.be32() == group.blocks;
    group.place_root = reader.be32();
    group.size_root = reader.be32();
    auto reverse_root = reader.be32();
    group.place_levels = reader.be32();
    group.size_levels = reader.be32();
    reader.skip(4);
    group.list_first = reader.be32();
    group.list_last = reader.be32();
    group.list_count = reader.be32();
    group.free_blocks = reader.be32();
    group.longest = reader.be32();
    group.tree_blocks = reader.be32();
    bool id = super_.version == 4 || Uuid{reader.array<16>()} == super_.metadata_id;
    reader.seek(88);
    auto reference_root = reader.be32();
    if (!magic || !place || !id || (super_.version == 5 && !checksum_ok(sector, 216)))
        return damaged("AG {}'s free-space header is damaged", group.number);
    if (super_.version == 5 && super_.ro_compat & kRoReverseMap) group.other_roots.push_back(reverse_root);
    if (super_.version == 5 && super_.ro_compat & kRoReflink) group.other_roots.push_back(reference_root);
    return {};
}

Status XfsMapper::read_inode_root(Group& group, ByteView sector) {
    ByteReader reader(sector);
    bool magic = reader.text(4) == "XAGI" && reader.be32() == 1;
    bool place = reader.be32() == group.number && reader.be32() == group.blocks;
    reader.skip(4);  // inodes
    group.other_roots.push_back(reader.be32());
    reader.seek(328);
    auto free_root = reader.be32();
    if (!magic || !place || (super_.version == 5 && !checksum_ok(sector, 312)))
        return damaged("AG {}'s inode header is damaged", group.number);
    if (super_.version == 5 && super_.ro_compat & kRoFreeInodes) group.other_roots.push_back(free_root);
    return {};
}

// The first four sectors: superblock, free space, inodes, free list.
Result<Group> XfsMapper::read_group(std::uint64_t number) {
    Group group;
    group.number = number;
    group.offset = number * group_bytes();
    group.blocks = static_cast<std::uint32_t>(
        std::min<std::uint64_t>(super_.group_blocks, super_.blocks - number * super_.group_blocks));
    Bytes head(sectors(3));
    if (std::uint64_t{group.blocks} * super_.block_bytes < sectors(4)) return damaged("AG {} is too small", number);
    TRY(volume_.read(group.offset, head));
    auto sector = [&](std::uint64_t i) { return ByteView(head).subspan(sectors(i), super_.sector_bytes); };
    TRY(read_free_space(group, sector(1)));
    TRY(read_inode_root(group, sector(2)));
    return group;
}

Result<TreeSum> XfsMapper::walk(const Group& group, const TreeKind& kind, std::vector<std::uint32_t>& nodes) {
    TreeSum sum;
    auto record = [&](FreeExtent e) -> Status {
        bool inside = e.length > 0 && e.start < group.blocks && e.length <= group.blocks - e.start;
        bool order =
            !sum.any || (kind.by_size ? std::pair(e.length, e.start) > std::pair(sum.last.length, sum.last.start)
                                      : e.start >= sum.last.start + sum.last.length);
        if (!inside || !order) return damaged("AG {}'s {} is out of order", group.number, kind.name);
        sum.blocks += e.length;
        sum.longest = std::max(sum.longest, e.length);
        auto both = (std::uint64_t{e.start} << 32 | e.length) * 0x9e3779b97f4a7c15;
        sum.digest += (both ^ both >> 29) * 0xbf58476d1ce4e5b9;  // the same in any order
        sum.last = e;
        sum.any = true;
        auto bytes = std::uint64_t{super_.block_bytes};
        if (!kind.by_size && !gaps_.add({group.offset + e.start * bytes, e.length * bytes}))
            return damaged("AG {}'s {} is out of order", group.number, kind.name);
        return {};
    };
    auto root = kind.by_size ? group.size_root : group.place_root;
    auto levels = kind.by_size ? group.size_levels : group.place_levels;
    TRY(TreeWalk(volume_, super_, group, kind).run(root, levels, nodes, record));
    return sum;
}

Status XfsMapper::must_be_used(const Group& group, std::uint64_t block, std::string_view what) const {
    auto bytes = std::uint64_t{super_.block_bytes};
    if (block < group.blocks && !gaps_.touches({group.offset + block * bytes, bytes})) return {};
    return damaged("AG {} lists {} as free, or has it outside", group.number, what);
}

// Blocks set aside for the trees. They hold nothing, but a list that is wrong says that its AG is.
Status XfsMapper::check_free_list(const Group& group) {
    Bytes sector(super_.sector_bytes);
    TRY(volume_.read(group.offset + sectors(3), sector));
    ByteReader reader(sector);
    std::size_t header = super_.version == 5 ? 36 : 0;
    if (super_.version == 5) {
        bool magic = reader.text(4) == "XAFL" && reader.be32() == group.number;
        if (!magic || Uuid{reader.array<16>()} != super_.metadata_id || !checksum_ok(sector, 32))
            return damaged("AG {}'s free list is damaged", group.number);
    }
    auto slots = (sector.size() - header) / 4;
    if (group.list_count > slots || group.list_first >= slots || group.list_last >= slots ||
        (group.list_first + group.list_count + slots - 1) % slots != group.list_last)
        return damaged("AG {}'s free list is damaged", group.number);
    for (std::size_t i = 0; i < group.list_count; ++i) {
        reader.seek(header + (group.list_first + i) % slots * 4);
        TRY(must_be_used(group, reader.be32(), "its free list"));
    }
    return {};
}

Status XfsMapper::map_group(const Group& group) {
    std::vector<std::uint32_t> nodes;
    auto by_place = TRY(walk(group, kByPlace, nodes));
    auto by_size = TRY(walk(group, kBySize, nodes));
    if (by_place.blocks != group.free_blocks || by_place.longest != group.longest)
        return damaged("AG {} says {} free blocks, its bnobt {}", group.number, group.free_blocks, by_place.blocks);
    if (by_place.blocks != by_size.blocks || by_place.digest != by_size.digest)
        return damaged("AG {}'s two free-space trees disagree", group.number);
    auto below_roots = nodes.size() - 2;
    bool reverse_mapped = super_.version == 5 && super_.ro_compat & kRoReverseMap;  // its tree's blocks count too
    bool lazy = super_.version == 5 || (super_.flags & kHasFeatures2 && super_.features2 & kLazyCounters);
    if (lazy && (reverse_mapped ? group.tree_blocks < below_roots : group.tree_blocks != below_roots))
        return damaged("AG {} says {} tree blocks, it has {}", group.number, group.tree_blocks, below_roots);
    free_seen_ += by_place.blocks + group.list_count + (lazy ? group.tree_blocks : below_roots);

    if (gaps_.touches({group.offset, sectors(4)})) return damaged("AG {} lists its headers as free", group.number);
    for (auto block : nodes) TRY(must_be_used(group, block, "its free-space trees"));
    for (auto block : group.other_roots) TRY(must_be_used(group, block, "a tree's root"));
    return check_free_list(group);
}

Status XfsMapper::check_fixed_places() const {
    if (gaps_.touches({log_offset(), std::uint64_t{super_.log_blocks} * super_.block_bytes}))
        return damaged("the log is listed as free");
    auto block = super_.root_inode >> super_.inodes_per_block_log;
    auto group = block >> super_.group_blocks_log;
    auto offset =
        group * group_bytes() + (block & ((std::uint64_t{1} << super_.group_blocks_log) - 1)) * super_.block_bytes;
    if (group >= super_.groups || gaps_.touches({offset, super_.block_bytes}))
        return damaged("the root directory is listed as free");
    if (free_seen_ != super_.free_blocks)
        return damaged("the superblock says {} free blocks, the AGs {}", super_.free_blocks, free_seen_);
    return {};
}

UsedMap XfsMapper::used_map() const {
    auto map = whole({});
    map.state = VolumeState::Clean;
    map.used = {};
    std::uint64_t at = 0;
    for (const auto& gap : gaps_.gaps()) {
        map.used.add({at, gap.offset - at});
        at = gap.end();
    }
    map.used.add({at, volume_.size() - at});  // with what lies behind the file system
    return map;
}

Result<UsedMap> XfsMapper::map_blocks() {
    for (std::uint64_t g = 0; g < super_.groups; ++g) TRY(map_group(TRY(read_group(g))));
    TRY(check_fixed_places());
    return used_map();
}

Result<UsedMap> XfsMapper::map() {
    needs_recovery_ = super_.version == 5 && super_.incompat & kIncompatNeedsRepair;
    if (auto why = refusal(); !why.empty()) return whole(why);
    OffsetLayer log(volume_, log_offset(), std::uint64_t{super_.log_blocks} * super_.block_bytes);
    if (auto why = TRY(unclean_xfs_log(log, super_.id)); !why.empty()) {
        needs_recovery_ = true;
        return whole(why);
    }
    auto map = map_blocks();
    if (!map.ok() && map.error().is(errors::kFilesystem)) return whole(map.error().message());
    return map;
}

}  // namespace

std::optional<XfsSuper> parse_xfs_superblock(ByteView head) {
    if (head.size() < 512 || as_text(head.first(4)) != "XFSB") return std::nullopt;
    ByteReader reader(head);
    XfsSuper s;
    reader.skip(4);
    s.block_bytes = reader.be32();
    s.blocks = reader.be64();
    s.realtime_blocks = reader.be64();
    reader.skip(8);
    s.id = Uuid{reader.array<16>()};
    s.log_start = reader.be64();
    s.root_inode = reader.be64();
    reader.seek(84);
    s.group_blocks = reader.be32();
    s.groups = reader.be32();
    reader.skip(4);
    s.log_blocks = reader.be32();
    auto version = reader.be16();
    s.version = version & 0xf;
    s.flags = version & 0xfff0;
    s.sector_bytes = reader.be16();
    reader.seek(108);
    auto label = reader.text(12);
    label = label.substr(0, label.find('\0'));
    s.label = std::string(label.substr(0, label.find_last_not_of(" \t\n") + 1));
    reader.seek(123);
    s.inodes_per_block_log = reader.u8();
    s.group_blocks_log = reader.u8();
    reader.skip(1);
    s.in_progress = reader.u8() != 0;
    reader.seek(144);
    s.free_blocks = reader.be64();
    reader.seek(200);
    s.features2 = reader.be32();
    s.metadata_id = s.id;
    if (s.version != 5) return s;
    reader.seek(212);
    s.ro_compat = reader.be32();
    s.incompat = reader.be32();
    reader.seek(248);
    if (s.incompat & kIncompatMetaUuid) s.metadata_id = Uuid{reader.array<16>()};
    s.checksum_ok =
        s.sector_bytes >= 512 && s.sector_bytes <= head.size() && checksum_ok(head.first(s.sector_bytes), 224);
    return s;
}

Result<UsedMap> map_xfs(BlockDevice& volume, const XfsSuper& super) { return XfsMapper(volume, super).map(); }

}  // namespace slipway::disks
