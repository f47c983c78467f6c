// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/maps/ext_map.hpp"

#include <algorithm>
#include <bit>

#include <fmt/format.h>

#include "lib/base/uuid.hpp"
#include "lib/disks/maps/cluster_extents.hpp"

namespace slipway::disks {

namespace {

constexpr std::uint32_t kCompatHasJournal = 0x4, kCompatSparseSuper2 = 0x200;
constexpr std::uint32_t kIncompatRecover = 0x4, kIncompatJournalDevice = 0x8, kIncompatMetaBg = 0x10,
                        kIncompatExtents = 0x40, kIncompat64Bit = 0x80, kIncompatFlexBg = 0x200;
constexpr std::uint32_t kRoSparseSuper = 0x1, kRoGdtChecksum = 0x10, kRoBigalloc = 0x200, kRoMetadataChecksum = 0x400;
constexpr std::uint16_t kStateValid = 1, kStateErrors = 2;
constexpr std::uint16_t kGroupBlockUninit = 2;
// Features under which the block bitmaps below mean what we take them to mean.
constexpr std::uint32_t kKnownIncompat = 0x2 | kIncompatRecover | kIncompatExtents | kIncompat64Bit | 0x100 |
                                         kIncompatFlexBg | 0x400 | 0x1000 | 0x2000 | 0x4000 | 0x8000 | 0x10000 |
                                         0x20000;

struct Group {
    std::uint64_t block_bitmap = 0, inode_bitmap = 0, inode_table = 0;
    std::uint64_t free_blocks = 0;
    std::uint16_t flags = 0;
};

class ExtMapper {
public:
    ExtMapper(BlockDevice& volume, const ExtSuper& super) : volume_(volume), super_(super) {}
    Result<UsedMap> map();

private:
    std::string refusal() const;
    UsedMap whole(std::string why) const;
    Result<std::vector<Group>> read_groups();
    bool group_is_sane(const Group& g) const;
    bool has_super(std::uint64_t group) const;
    Status map_group(std::uint64_t index, const Group& group);
    std::vector<ClusterRun> metadata_of(const std::vector<Group>& groups) const;
    void set_metadata(std::uint64_t index, std::span<std::byte> bitmap);
    std::uint64_t group_start(std::uint64_t g) const { return super_.first_data_block + g * super_.blocks_per_group; }
    std::uint64_t group_blocks(std::uint64_t g) const {
        return std::min<std::uint64_t>(super_.blocks_per_group, super_.blocks - group_start(g));
    }

    BlockDevice& volume_;
    const ExtSuper& super_;
    std::vector<ClusterRun> metadata_;  // blocks, ascending; may overlap
    std::size_t next_metadata_ = 0;     // the first run that may reach into the group at hand
    std::optional<ClusterExtents> used_;
    std::string inconsistent_;
};

UsedMap ExtMapper::whole(std::string why) const {
    UsedMap map;
    map.filesystem = super_.kind();
    map.label = super_.label;
    map.uuid = super_.uuid;
    map.state = super_.incompat & kIncompatRecover || !(super_.state & kStateValid) ? VolumeState::NeedsRecovery
                                                                                    : VolumeState::Unknown;
    map.why_all = std::move(why);
    map.used.add({0, volume_.size()});
    return map;
}

std::string ExtMapper::refusal() const {
    const auto& s = super_;
    if (s.incompat & kIncompatRecover) return "the journal needs recovery";
    if (!(s.state & kStateValid) || s.state & kStateErrors) return "the file system is not marked clean";
    if (s.incompat & kIncompatJournalDevice) return "this is an external journal";
    if (s.ro_compat & kRoBigalloc) return "bigalloc clusters are not read by blocks";
    if (s.incompat & kIncompatMetaBg) return "meta_bg group descriptors are not read";
    if (s.incompat & ~kKnownIncompat) return fmt::format("unknown features {:#x}", s.incompat & ~kKnownIncompat);
    if (s.block_bytes < 1024 || s.block_bytes > 65536 || !std::has_single_bit(s.block_bytes))
        return "an impossible block size";
    if (s.blocks_per_group == 0 || s.blocks_per_group % 8 != 0 || s.blocks_per_group > 8 * s.block_bytes ||
        s.inodes_per_group == 0 || s.inode_bytes < 128 || s.inode_bytes > s.block_bytes)
        return "an impossible group geometry";
    if (s.first_data_block != (s.block_bytes == 1024 ? 1u : 0u)) return "an impossible first data block";
    if (s.blocks <= s.first_data_block || s.blocks > volume_.size() / s.block_bytes)
        return "the file system is larger than its volume";
    if (s.descriptor_bytes < 32 || s.descriptor_bytes > s.block_bytes) return "an impossible descriptor size";
    if (s.blocks > 1ull << 40) return "too many blocks";
    return {};
}

bool ExtMapper::group_is_sane(const Group& g) const {
    auto inode_blocks =
        (std::uint64_t{super_.inodes_per_group} * super_.inode_bytes + super_.block_bytes - 1) / super_.block_bytes;
    auto inside = [&](std::uint64_t block, std::uint64_t count) {
        return block >= super_.first_data_block && block < super_.blocks && count <= super_.blocks - block;
    };
    return inside(g.block_bitmap, 1) && inside(g.inode_bitmap, 1) && inside(g.inode_table, inode_blocks);
}

Result<std::vector<Group>> ExtMapper::read_groups() {
    auto count = super_.groups();
    Bytes table(count * super_.descriptor_bytes);
    auto at = std::uint64_t{super_.first_data_block + 1} * super_.block_bytes;
    std::vector<Group> groups;
    if (at > volume_.size() || table.size() > volume_.size() - at) return groups;
    TRY(volume_.read(at, table));
    bool wide = super_.incompat & kIncompat64Bit && super_.descriptor_bytes >= 64;
    groups.reserve(count);
    for (std::uint64_t i = 0; i < count; ++i) {
        ByteReader reader(ByteView(table).subspan(i * super_.descriptor_bytes, super_.descriptor_bytes));
        Group g;
        g.block_bitmap = reader.le32();
        g.inode_bitmap = reader.le32();
        g.inode_table = reader.le32();
        g.free_blocks = reader.le16();
        reader.skip(4);
        g.flags = reader.le16();
        if (wide) {
            reader.seek(0x20);
            g.block_bitmap |= std::uint64_t{reader.le32()} << 32;
            g.inode_bitmap |= std::uint64_t{reader.le32()} << 32;
            g.inode_table |= std::uint64_t{reader.le32()} << 32;
            g.free_blocks |= std::uint64_t{reader.le16()} << 16;
        }
        groups.push_back(g);
    }
    return groups;
}

bool ExtMapper::has_super(std::uint64_t group) const {
    if (group == 0) return true;
    if (super_.compat & kCompatSparseSuper2)
        return group == super_.backup_groups[0] || group == super_.backup_groups[1];
    if (!(super_.ro_compat & kRoSparseSuper)) return true;
    if (group == 1) return true;
    for (std::uint64_t base : {3u, 5u, 7u})
        for (std::uint64_t power = base; power <= group; power *= base)
            if (power == group) return true;
    return false;
}

// Superblocks, descriptors, bitmaps and inode tables, whatever the bitmaps say: a BLOCK_UNINIT group has no bitmap
// on disk, and its metadata may be that of other groups (flex_bg).
std::vector<ClusterRun> ExtMapper::metadata_of(const std::vector<Group>& groups) const {
    auto descriptor_blocks = (groups.size() * super_.descriptor_bytes + super_.block_bytes - 1) / super_.block_bytes;
    auto inode_blocks =
        (std::uint64_t{super_.inodes_per_group} * super_.inode_bytes + super_.block_bytes - 1) / super_.block_bytes;
    std::vector<ClusterRun> runs;
    runs.reserve(groups.size() * 3 + 32);
    runs.push_back({super_.first_data_block, 1});
    for (std::uint64_t g = 0; g < groups.size(); ++g) {
        if (has_super(g)) runs.push_back({group_start(g), 1 + descriptor_blocks + super_.reserved_gdt_blocks});
        runs.push_back({groups[g].block_bitmap, 1});
        runs.push_back({groups[g].inode_bitmap, 1});
        runs.push_back({groups[g].inode_table, inode_blocks});
    }
    std::sort(runs.begin(), runs.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
    // Joined, so that one that is long cannot hide behind a shorter one that starts later.
    std::vector<ClusterRun> joined;
    for (const auto& run : runs) {
        if (joined.empty() || run.first > joined.back().end()) joined.push_back(run);
        else joined.back().count = std::max(joined.back().end(), run.end()) - joined.back().first;
    }
    return joined;
}

// Sets the bits of the metadata that lies in this group. Groups come in order.
void ExtMapper::set_metadata(std::uint64_t index, std::span<std::byte> bitmap) {
    auto start = group_start(index), end = start + group_blocks(index);
    while (next_metadata_ < metadata_.size() && metadata_[next_metadata_].end() <= start) ++next_metadata_;
    for (auto i = next_metadata_; i < metadata_.size() && metadata_[i].first < end; ++i)
        for (auto b = std::max(metadata_[i].first, start); b < std::min(metadata_[i].end(), end); ++b)
            bitmap[(b - start) / 8] |= std::byte{1} << ((b - start) % 8);
}

Status ExtMapper::map_group(std::uint64_t index, const Group& group) {
    bool checksummed = super_.ro_compat & (kRoGdtChecksum | kRoMetadataChecksum);
    auto blocks = group_blocks(index);
    Bytes bitmap(super_.block_bytes);
    // In an uninitialised group only metadata is used.
    if (!checksummed || !(group.flags & kGroupBlockUninit)) {
        TRY(volume_.read(group.block_bitmap * super_.block_bytes, bitmap));
        std::uint64_t used = 0;
        for (std::uint64_t i = 0; i < blocks / 8; ++i)
            used += static_cast<unsigned>(std::popcount(std::to_integer<std::uint8_t>(bitmap[i])));
        for (auto i = blocks / 8 * 8; i < blocks; ++i) used += std::to_integer<unsigned>(bitmap[i / 8]) >> (i % 8) & 1;
        if (blocks - used != group.free_blocks && inconsistent_.empty())
            inconsistent_ =
                fmt::format("group {} says {} free blocks, its bitmap {}", index, group.free_blocks, blocks - used);
    }
    set_metadata(index, bitmap);
    used_->add_bitmap(ByteView(bitmap).first((blocks + 7) / 8), group_start(index));
    return {};
}

Result<UsedMap> ExtMapper::map() {
    if (auto why = refusal(); !why.empty()) return whole(why);
    auto groups = TRY(read_groups());
    if (groups.size() != super_.groups()) return whole("the group descriptors leave the volume");
    if (!std::all_of(groups.begin(), groups.end(), [&](const Group& g) { return group_is_sane(g); }))
        return whole("a group descriptor points outside the file system");
    metadata_ = metadata_of(groups);
    used_.emplace(ClusterHeap{0, super_.block_bytes, super_.blocks});
    // The boot block before a 1 KiB-block superblock belongs to no group.
    if (super_.first_data_block != 0) used_->add({0, super_.first_data_block});
    for (std::uint64_t g = 0; g < groups.size(); ++g) TRY(map_group(g, groups[g]));
    if (!inconsistent_.empty()) return whole(inconsistent_);

    auto map = whole({});
    map.state = VolumeState::Clean;
    map.used = used_->extents(volume_.size());  // with what lies behind the file system
    return map;
}

}  // namespace

std::uint64_t ExtSuper::groups() const { return (blocks - first_data_block + blocks_per_group - 1) / blocks_per_group; }

std::string ExtSuper::kind() const {
    if (incompat & (kIncompatExtents | kIncompat64Bit | kIncompatFlexBg) ||
        ro_compat & (kRoGdtChecksum | kRoMetadataChecksum))
        return "ext4";
    return compat & kCompatHasJournal ? "ext3" : "ext2";
}

std::optional<ExtSuper> parse_ext_superblock(ByteView head) {
    if (head.size() < 2048) return std::nullopt;
    ByteReader reader(head.subspan(1024, 1024));
    auto at32 = [&](std::size_t offset) {
        reader.seek(offset);
        return reader.le32();
    };
    auto at16 = [&](std::size_t offset) {
        reader.seek(offset);
        return reader.le16();
    };
    if (at16(0x38) != 0xef53) return std::nullopt;
    ExtSuper s;
    s.blocks = at32(0x04);
    s.free_blocks = at32(0x0c);
    s.first_data_block = at32(0x14);
    auto log_block = at32(0x18);
    s.block_bytes = log_block <= 6 ? 1024u << log_block : 0;
    s.blocks_per_group = at32(0x20);
    s.inodes_per_group = at32(0x28);
    s.state = at16(0x3a);
    bool dynamic = at32(0x4c) >= 1;
    s.inode_bytes = dynamic ? at16(0x58) : 128;
    if (!dynamic) return s;
    s.compat = at32(0x5c);
    s.incompat = at32(0x60);
    s.ro_compat = at32(0x64);
    reader.seek(0x68);
    s.uuid = Uuid{reader.array<16>()}.text();
    auto label = reader.text(16);
    s.label = std::string(label.substr(0, label.find('\0')));
    s.reserved_gdt_blocks = at16(0xce);
    if (s.incompat & kIncompat64Bit) {
        s.descriptor_bytes = at16(0xfe);
        s.blocks |= std::uint64_t{at32(0x150)} << 32;
        s.free_blocks |= std::uint64_t{at32(0x158)} << 32;
    }
    s.first_meta_group = at32(0x104);
    s.backup_groups[0] = at32(0x24c);
    s.backup_groups[1] = at32(0x250);
    return s;
}

Result<UsedMap> map_ext(BlockDevice& volume, const ExtSuper& super) { return ExtMapper(volume, super).map(); }

}  // namespace slipway::disks
