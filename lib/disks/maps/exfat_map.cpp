// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/maps/exfat_map.hpp"

#include <algorithm>

#include "lib/disks/errors.hpp"
#include "lib/disks/maps/cluster_extents.hpp"
#include "lib/disks/maps/volume_head.hpp"

namespace slipway::disks {

namespace {

using namespace std::string_view_literals;

constexpr std::size_t kDirectoryEntry = 32;
constexpr std::uint64_t kMaxRootBytes = 256u << 20;    // of any directory, section 6
constexpr std::uint64_t kMaxUpcaseBytes = 128u << 10;  // 65536 characters
constexpr std::size_t kMaxChainRuns = 1u << 20;
constexpr std::uint64_t kPieceBytes = 1u << 20;
constexpr std::size_t kFatWindowBytes = 4096;
constexpr unsigned kRegionSectors = 12;  // of a boot region: 11 and their checksum
constexpr std::uint32_t kFatEnd = 0xffffffff;
// Entry types in the root directory, with the in-use bit.
constexpr std::uint8_t kEntryBitmap = 0x81, kEntryUpcase = 0x82, kEntryLabel = 0x83;

Error bad(std::string_view what) { return make_error(errors::kFilesystem, "{}", what); }

std::uint32_t rotate_add(std::uint32_t sum, std::byte b) {
    return (sum << 31 | sum >> 1) + std::to_integer<std::uint32_t>(b);
}

std::string_view fill_geometry(ByteReader reader, ExfatBoot& boot) {
    auto sectors = reader.le64();
    std::uint64_t fat_at = reader.le32(), fat_sectors = reader.le32(), heap_at = reader.le32();
    boot.clusters = reader.le32();
    boot.root_cluster = reader.le32();
    reader.skip(4);
    auto major = reader.le16() >> 8;
    auto flags = reader.le16();
    unsigned sector_shift = reader.u8(), cluster_shift = reader.u8();
    boot.fats = reader.u8();
    boot.second_fat = flags & 1;
    boot.dirty = flags & 2;
    boot.media_failure = flags & 4;
    if (major != 1) return "an unknown revision";
    if (sector_shift < 9 || sector_shift > 12) return "an impossible sector size";
    if (cluster_shift > 25 - sector_shift) return "an impossible cluster size";
    boot.sector_bytes = 1u << sector_shift;
    boot.cluster_bytes = 1u << (sector_shift + cluster_shift);
    if (sectors == 0 || sectors > std::uint64_t{1} << (62 - sector_shift)) return "an impossible size";
    boot.end = sectors << sector_shift;
    boot.fat_offset = fat_at << sector_shift;
    boot.fat_bytes = fat_sectors << sector_shift;
    boot.heap_offset = heap_at << sector_shift;
    if (boot.fats != 1 && boot.fats != 2) return "an impossible number of FATs";
    if (fat_at < 2 * kRegionSectors || boot.fat_bytes / 4 < std::uint64_t{boot.clusters} + 2 ||
        heap_at < fat_at + boot.fats * fat_sectors)
        return "a FAT that does not fit";
    if (boot.clusters == 0 || boot.clusters > 0xfffffff5 || boot.heap_offset >= boot.end ||
        boot.clusters > (boot.end - boot.heap_offset) / boot.cluster_bytes)
        return "more clusters than it has room for";
    if (boot.root_cluster < 2 || boot.root_cluster - 2 >= boot.clusters) return "its root directory lies outside";
    return {};
}

// A chain of clusters as runs, counted from 0 (cluster 2).
using Chain = std::vector<ClusterRun>;

class ExfatMapper {
public:
    ExfatMapper(BlockDevice& volume, const ExfatBoot& boot, UsedMap& map) : volume_(volume), boot_(boot), map_(map) {}
    // Fills the map; kFilesystem: take everything, for that reason.
    Status fill(std::string_view other_owner);

private:
    struct Table {
        std::uint32_t cluster = 0, checksum = 0;
        std::uint64_t bytes = 0;
        unsigned seen = 0;
    };

    Result<bool> region_is_sound(unsigned first_sector);
    Result<std::uint32_t> fat_entry(std::uint32_t cluster);
    Result<Chain> follow(std::uint32_t cluster, std::uint64_t max_clusters, std::string_view what);
    Result<Chain> table_chain(const Table& table, std::string_view what);
    Status read(const Chain& chain, std::uint64_t offset, std::span<std::byte> buffer);
    Status read_root(const Chain& chain);
    bool take_entry(ByteView entry);
    Status check_upcase(const Chain& chain);
    Status read_bitmap(const Chain& chain, ClusterExtents& clusters);

    BlockDevice& volume_;
    const ExfatBoot& boot_;
    UsedMap& map_;
    Table bitmap_, upcase_;
    Bytes fat_window_;
    std::uint64_t fat_window_at_ = ~std::uint64_t{0};
};

Result<bool> ExfatMapper::region_is_sound(unsigned first_sector) {
    Bytes region(kRegionSectors * boot_.sector_bytes);
    TRY(volume_.read(std::uint64_t{first_sector} * boot_.sector_bytes, region));
    auto body = ByteView(region).first(region.size() - boot_.sector_bytes);
    auto sum = exfat_boot_checksum(body);
    ByteReader sums(ByteView(region).subspan(body.size()));
    while (!sums.at_end())
        if (sums.le32() != sum) return false;
    return true;
}

// Through a window of the FAT, since chains mostly go on nearby.
Result<std::uint32_t> ExfatMapper::fat_entry(std::uint32_t cluster) {
    auto at = std::uint64_t{cluster} * 4, window = at / kFatWindowBytes * kFatWindowBytes;
    if (window != fat_window_at_) {
        fat_window_.resize(std::min<std::uint64_t>(kFatWindowBytes, boot_.fat_bytes - window));
        fat_window_at_ = ~std::uint64_t{0};
        TRY(volume_.read(boot_.fat_offset + window, fat_window_));
        fat_window_at_ = window;
    }
    ByteReader reader(fat_window_);
    reader.seek(at - window);
    return reader.le32();
}

Result<Chain> ExfatMapper::follow(std::uint32_t cluster, std::uint64_t max_clusters, std::string_view what) {
    Chain chain;
    for (std::uint64_t n = 0; cluster != kFatEnd; ++n) {
        if (n == max_clusters) return bad(fmt::format("the chain of {} is too long", what));
        if (cluster < 2 || cluster - 2 >= boot_.clusters)
            return bad(fmt::format("the chain of {} leaves the volume", what));
        if (!chain.empty() && chain.back().end() == cluster - 2) {
            ++chain.back().count;
        } else {
            if (chain.size() == kMaxChainRuns) return bad(fmt::format("{} is in too many pieces", what));
            chain.push_back({cluster - 2, 1});
        }
        cluster = TRY(fat_entry(cluster));
    }
    return chain;
}

Result<Chain> ExfatMapper::table_chain(const Table& table, std::string_view what) {
    if (table.seen != 1) return bad(fmt::format("the root directory names {} {} times", what, table.seen));
    auto needed = (table.bytes + boot_.cluster_bytes - 1) / boot_.cluster_bytes;
    auto chain = TRY(follow(table.cluster, needed, what));
    std::uint64_t clusters = 0;
    for (const auto& run : chain) clusters += run.count;
    if (clusters != needed) return bad(fmt::format("the chain of {} is too short", what));
    return chain;
}

Status ExfatMapper::read(const Chain& chain, std::uint64_t offset, std::span<std::byte> buffer) {
    std::uint64_t start = 0;  // of the run, in the stream
    for (const auto& run : chain) {
        auto bytes = run.count * boot_.cluster_bytes;
        if (!buffer.empty() && offset < start + bytes) {
            auto inside = offset - start;
            auto n = std::min<std::uint64_t>(buffer.size(), bytes - inside);
            TRY(volume_.read(boot_.heap_offset + run.first * boot_.cluster_bytes + inside, buffer.first(n)));
            buffer = buffer.subspan(n);
            offset += n;
        }
        start += bytes;
    }
    return buffer.empty() ? Status() : bad("a chain is shorter than its content");
}

// False at the end of the directory.
bool ExfatMapper::take_entry(ByteView entry) {
    ByteReader reader(entry);
    auto type = reader.u8();
    if (type == 0) return false;
    if (type == kEntryLabel) {
        std::size_t units = std::min<std::size_t>(reader.u8(), 11);
        map_.label = utf16_label(reader.take(units * 2));
    } else if (type == kEntryBitmap || type == kEntryUpcase) {
        auto& table = type == kEntryBitmap ? bitmap_ : upcase_;
        ++table.seen;
        reader.seek(4);
        table.checksum = reader.le32();
        reader.seek(20);
        table.cluster = reader.le32();
        table.bytes = reader.le64();
    }
    return true;
}

Status ExfatMapper::read_root(const Chain& chain) {
    Bytes cluster(std::min<std::uint64_t>(boot_.cluster_bytes, kPieceBytes));
    for (const auto& run : chain)
        for (std::uint64_t at = 0; at < run.count * boot_.cluster_bytes; at += cluster.size()) {
            TRY(volume_.read(boot_.heap_offset + run.first * boot_.cluster_bytes + at, cluster));
            for (std::size_t i = 0; i < cluster.size(); i += kDirectoryEntry)
                if (!take_entry(ByteView(cluster).subspan(i, kDirectoryEntry))) return {};
        }
    return {};
}

Status ExfatMapper::check_upcase(const Chain& chain) {
    if (upcase_.bytes == 0 || upcase_.bytes > kMaxUpcaseBytes) return bad("an impossible up-case table");
    Bytes table(upcase_.bytes);
    TRY(read(chain, 0, table));
    std::uint32_t sum = 0;
    for (auto b : table) sum = rotate_add(sum, b);
    if (sum != upcase_.checksum) return bad("the up-case table is damaged");
    return {};
}

Status ExfatMapper::read_bitmap(const Chain& chain, ClusterExtents& clusters) {
    // Run by run rather than by read(), which looks the place up again each time.
    std::uint64_t at = 0, bytes = (std::uint64_t{boot_.clusters} + 7) / 8;
    Bytes piece;
    for (const auto& run : chain)
        for (std::uint64_t inside = 0; inside < run.count * boot_.cluster_bytes && at < bytes; at += piece.size()) {
            piece.resize(std::min({kPieceBytes, run.count * boot_.cluster_bytes - inside, bytes - at}));
            TRY(volume_.read(boot_.heap_offset + run.first * boot_.cluster_bytes + inside, piece));
            clusters.add_bitmap(piece, at * 8);
            inside += piece.size();
        }
    return {};
}

Status ExfatMapper::fill(std::string_view other_owner) {
    if (!boot_.flaw.empty()) return bad(boot_.flaw);
    if (!other_owner.empty()) return bad(fmt::format("it carries the signature of {} as well", other_owner));
    if (boot_.end > volume_.size()) return bad("the file system is larger than its volume");
    if (!TRY(region_is_sound(0))) return bad("its boot region's checksum is wrong");
    if (!TRY(region_is_sound(kRegionSectors))) map_.notes.push_back("the backup boot region is damaged");
    if (boot_.media_failure) map_.notes.push_back("its last user met disk errors");
    if (boot_.dirty) map_.state = VolumeState::NeedsRecovery;
    if (boot_.fats != 1 || boot_.second_fat) return bad("two FATs (TexFAT) are not read");
    auto root = TRY(follow(boot_.root_cluster, kMaxRootBytes / boot_.cluster_bytes, "the root directory"));
    TRY(read_root(root));
    if (boot_.dirty) return bad("it was not unmounted: check it with chkdsk or fsck.exfat");
    auto bitmap = TRY(table_chain(bitmap_, "the allocation bitmap"));
    if (bitmap_.bytes != (std::uint64_t{boot_.clusters} + 7) / 8) return bad("the allocation bitmap does not fit");
    auto upcase = TRY(table_chain(upcase_, "the up-case table"));
    TRY(check_upcase(upcase));
    ClusterExtents clusters({boot_.heap_offset, boot_.cluster_bytes, boot_.clusters});
    TRY(read_bitmap(bitmap, clusters));
    for (const auto* chain : {&root, &bitmap, &upcase})
        for (const auto& run : *chain)
            if (!clusters.has(run)) return bad("the allocation bitmap calls clusters of its own tables free");
    map_.state = VolumeState::Clean;
    map_.used = clusters.extents(volume_.size());
    return {};
}

}  // namespace

std::optional<ExfatBoot> parse_exfat_boot(ByteView head) {
    if (head.size() < 512 || as_text(head.subspan(3, 8)) != "EXFAT   "sv) return std::nullopt;
    ExfatBoot boot;
    ByteReader reader(head);
    reader.seek(0x64);
    boot.serial = reader.le32();
    reader.seek(0x48);
    boot.flaw = fill_geometry(reader, boot);
    // Where FAT keeps its values, so that no FAT driver takes it for its own.
    if (!all_zero(head.subspan(11, 53))) boot.flaw = "its boot sector has FAT values as well";
    return boot;
}

std::uint32_t exfat_boot_checksum(ByteView sectors) {
    std::uint32_t sum = 0;
    for (std::size_t i = 0; i < sectors.size(); ++i)
        if (i != 106 && i != 107 && i != 112) sum = rotate_add(sum, sectors[i]);  // flags, percent in use
    return sum;
}

Result<UsedMap> map_exfat(BlockDevice& volume, ByteView head, const ExfatBoot& boot) {
    UsedMap map;
    map.filesystem = "exfat";
    map.uuid = serial_text(boot.serial);
    auto filled = ExfatMapper(volume, boot, map).fill(other_owner(head));
    if (filled.ok()) return map;
    if (!filled.error().is(errors::kFilesystem)) return std::move(filled).error();
    map.why_all = reason_of(filled.error());
    map.used.add({0, volume.size()});
    return map;
}

}  // namespace slipway::disks
