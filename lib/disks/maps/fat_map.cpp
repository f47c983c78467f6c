// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/maps/fat_map.hpp"

#include <algorithm>
#include <bit>

#include "lib/base/strings.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/maps/cluster_extents.hpp"
#include "lib/disks/maps/volume_head.hpp"

namespace slipway::disks {

namespace {

using namespace std::string_view_literals;

constexpr std::uint32_t kFat16From = 4085, kFat32From = 65525;  // clusters
constexpr std::size_t kDirectoryEntry = 32;
constexpr std::uint64_t kMaxDirectoryBytes = 65536 * kDirectoryEntry;
constexpr std::uint8_t kAttributeVolume = 0x08, kAttributeDirectory = 0x10, kAttributeLongName = 0x0f;
constexpr std::uint64_t kPieceBytes = 1u << 20;

Error bad(std::string_view what) { return make_error(errors::kFilesystem, "{}", what); }

std::string short_label(std::string_view field) {
    auto label = std::string(field.substr(0, field.find_last_not_of(" \0"sv) + 1));
    if (!label.empty() && label[0] == 0x05) label[0] = static_cast<char>(0xe5);  // Kanji lead byte
    return printable(label);
}

// What the boot sector's fields say, before they are trusted.
struct Parameters {
    std::uint32_t sector_bytes = 0, sectors_a_cluster = 0, reserved = 0, fats = 0, root_entries = 0;
    std::uint64_t sectors = 0, fat_sectors = 0;
    std::uint32_t flags = 0, version = 0, root_cluster = 0;
    std::uint8_t media = 0;
    bool wide = false;  // FAT32's layout

    explicit Parameters(ByteView head) {
        ByteReader reader(head);
        reader.seek(0x0b);
        sector_bytes = reader.le16();
        sectors_a_cluster = reader.u8();
        reserved = reader.le16();
        fats = reader.u8();
        root_entries = reader.le16();
        sectors = reader.le16();
        media = reader.u8();
        fat_sectors = reader.le16();
        reader.seek(0x20);
        auto sectors32 = reader.le32();
        if (sectors == 0) sectors = sectors32;
        wide = fat_sectors == 0;
        if (!wide) return;
        fat_sectors = reader.le32();
        flags = reader.le16();
        version = reader.le16();
        root_cluster = reader.le32();
    }

    std::string_view flaw() const {
        if (!std::has_single_bit(sector_bytes) || sector_bytes < 512 || sector_bytes > 4096)
            return "an impossible sector size";
        if (!std::has_single_bit(sectors_a_cluster)) return "an impossible cluster size";
        if (reserved == 0 || fats == 0 || fats > 2 || fat_sectors == 0 || sectors == 0)
            return "an impossible layout of its FATs";
        if (media != 0xf0 && media < 0xf8) return "an impossible media byte";
        return {};
    }
};

std::string_view fill_geometry(const Parameters& p, FatBoot& boot) {
    if (auto flaw = p.flaw(); !flaw.empty()) return flaw;
    auto root_sectors = (p.root_entries * kDirectoryEntry + p.sector_bytes - 1) / p.sector_bytes;
    auto data_sector = p.reserved + p.fats * p.fat_sectors + root_sectors;
    if (data_sector >= p.sectors) return "no room for clusters";
    auto clusters = (p.sectors - data_sector) / p.sectors_a_cluster;
    if (clusters == 0 || clusters > 0x0ffffff5) return "an impossible number of clusters";
    auto bits = clusters < kFat16From ? 12u : clusters < kFat32From ? 16u : 32u;
    if ((bits == 32) != p.wide) return "its number of clusters asks for another kind of FAT than its layout is of";
    if (p.wide ? p.root_entries != 0 || p.version != 0 : p.root_entries == 0) return "an impossible root directory";
    boot.bits = bits;
    boot.sector_bytes = p.sector_bytes;
    boot.cluster_bytes = p.sectors_a_cluster * p.sector_bytes;
    boot.fat_offset = std::uint64_t{p.reserved} * p.sector_bytes;
    boot.fat_bytes = p.fat_sectors * p.sector_bytes;
    boot.fats = p.fats;
    boot.root_entries = p.root_entries;
    boot.root_offset = boot.fat_offset + boot.fats * boot.fat_bytes;
    boot.root_cluster = p.root_cluster;
    boot.data_offset = data_sector * p.sector_bytes;
    boot.clusters = static_cast<std::uint32_t>(clusters);
    boot.end = p.sectors * p.sector_bytes;
    boot.media = p.media;
    boot.mirrored = !(p.flags & 0x80);
    if (boot.fat_bytes * 8 / bits < clusters + 2) return "a FAT too small for its clusters";
    if (p.wide && (boot.root_cluster < 2 || boot.root_cluster - 2 >= clusters))
        return "its root directory lies outside";
    return {};
}

// The extended boot signature and what it vouches for: state byte, serial, label.
void fill_extended(ByteView head, bool wide, FatBoot& boot) {
    ByteReader reader(head);
    reader.seek(wide ? 0x41 : 0x25);
    auto state = reader.u8(), signature = reader.u8();
    if (signature != 0x28 && signature != 0x29) return;
    boot.dirty = state & 1;
    boot.serial = reader.le32();
    if (auto label = reader.text(11); signature == 0x29 && label != "NO NAME    "sv) boot.label = short_label(label);
}

class FatMapper {
public:
    FatMapper(BlockDevice& volume, const FatBoot& boot, UsedMap& map)
        : volume_(volume), boot_(boot), map_(map), mask_(boot.bits == 32 ? 0x0fffffff : (1u << boot.bits) - 1) {}
    // Fills the map; kFilesystem: take everything, for that reason.
    Status fill(std::string_view other_owner);

private:
    bool is_bad(std::uint32_t entry) const { return entry == mask_ - 8; }
    bool is_end(std::uint32_t entry) const { return entry >= mask_ - 7; }
    bool is_cluster(std::uint32_t entry) const { return entry >= 2 && entry - 2 < boot_.clusters; }
    std::uint64_t cluster_at(std::uint32_t cluster) const {
        return boot_.data_offset + std::uint64_t{cluster - 2} * boot_.cluster_bytes;
    }
    std::uint32_t decode(ByteView fat, std::uint64_t index) const;
    Result<std::uint32_t> entry(std::uint32_t cluster);
    Status check_reserved_entries();
    Status read_root();
    Result<bool> read_directory(ByteView entries);
    Status read_fats(ClusterExtents& clusters);
    Status read_piece(ByteView fat, std::uint64_t first, std::uint64_t count, ClusterExtents& clusters);

    BlockDevice& volume_;
    const FatBoot& boot_;
    UsedMap& map_;
    std::uint32_t mask_;
    std::uint64_t bad_clusters_ = 0;
};

// index: from the first entry in `fat`, which begins at an even one.
std::uint32_t FatMapper::decode(ByteView fat, std::uint64_t index) const {
    ByteReader reader(fat);
    reader.seek(index * boot_.bits / 8);
    if (boot_.bits == 32) return reader.le32() & mask_;
    std::uint32_t value = reader.le16();
    return boot_.bits == 12 && index % 2 != 0 ? value >> 4 : value & mask_;
}

Result<std::uint32_t> FatMapper::entry(std::uint32_t cluster) {
    auto pair = cluster & ~1u;
    Bytes bytes(2 * boot_.bits / 8);
    TRY(volume_.read(boot_.fat_offset + std::uint64_t{pair} * boot_.bits / 8, bytes));
    // Two FAT12 entries are three bytes: the second one is read as two bytes from the middle one on.
    return decode(bytes, cluster - pair);
}

// FAT[0] repeats the media byte, FAT[1] tells how the volume was left.
Status FatMapper::check_reserved_entries() {
    auto first = TRY(entry(0)), second = TRY(entry(1));
    if (first != ((mask_ & ~0xffu) | boot_.media)) return bad("the FAT does not begin with the media byte");
    bool unclean = boot_.bits != 12 && !(second >> (boot_.bits == 32 ? 27 : 15) & 1);
    bool hard_errors = boot_.bits != 12 && !(second >> (boot_.bits == 32 ? 26 : 14) & 1);
    if (boot_.dirty || unclean || hard_errors) map_.state = VolumeState::NeedsRecovery;
    if (boot_.dirty || unclean) return bad("it was not unmounted: check it with chkdsk or fsck.fat");
    if (hard_errors) return bad("its last user met disk errors: check it with chkdsk or fsck.fat");
    return {};
}

// False when the directory ends here.
Result<bool> FatMapper::read_directory(ByteView entries) {
    for (; entries.size() >= kDirectoryEntry; entries = entries.subspan(kDirectoryEntry)) {
        ByteReader reader(entries);
        auto name = reader.text(11);
        auto attributes = reader.u8();
        if (name[0] == 0) return false;
        if (name[0] == '\xe5' || (attributes & 0x3f) == kAttributeLongName) continue;
        if (attributes & kAttributeVolume) {
            map_.label = short_label(name);
        } else if (!(attributes & kAttributeDirectory) && name == "HIBERFILSYS"sv) {
            reader.seek(20);
            std::uint32_t cluster = reader.le16();
            reader.seek(26);
            cluster = cluster << 16 | reader.le16();
            auto bytes = reader.le32();
            if (bytes < 4) continue;
            if (!is_cluster(cluster)) return bad("HIBERFIL.SYS begins outside the volume");
            Bytes head(4);
            TRY(volume_.read(cluster_at(cluster), head));
            if (auto signature = to_lower(as_text(head)); signature == "hibr" || signature == "rstr")
                map_.state = VolumeState::Hibernated;
        }
    }
    return true;
}

Status FatMapper::read_root() {
    map_.label.clear();
    if (boot_.bits != 32) {
        Bytes entries(boot_.root_entries * kDirectoryEntry);
        TRY(volume_.read(boot_.root_offset, entries));
        TRY(read_directory(entries));
    } else {
        Bytes entries(boot_.cluster_bytes);
        auto cluster = boot_.root_cluster;
        for (std::uint64_t bytes = 0; bytes < kMaxDirectoryBytes; bytes += entries.size()) {
            TRY(volume_.read(cluster_at(cluster), entries));
            if (!TRY(read_directory(entries))) break;
            cluster = TRY(entry(cluster));
            if (is_end(cluster)) break;
            if (!is_cluster(cluster)) return bad("the root directory's chain leaves the volume");
        }
    }
    if (map_.label.empty()) map_.label = boot_.label;
    return {};
}

Status FatMapper::read_piece(ByteView fat, std::uint64_t first, std::uint64_t count, ClusterExtents& clusters) {
    for (std::uint64_t i = first == 0 ? 2 : 0; i < count; ++i) {
        auto next = decode(fat, i);
        if (next == 0) continue;
        if (is_bad(next)) {
            ++bad_clusters_;
            continue;
        }
        if (!is_cluster(next) && !is_end(next))
            return bad(fmt::format("FAT entry {} leads outside the volume", first + i));
        clusters.add({first + i - 2, 1});
    }
    return {};
}

Status FatMapper::read_fats(ClusterExtents& clusters) {
    auto entries = std::uint64_t{boot_.clusters} + 2;
    auto step = kPieceBytes * 8 / boot_.bits & ~std::uint64_t{7};
    for (std::uint64_t first = 0; first < entries; first += step) {
        auto count = std::min(step, entries - first);
        Bytes fat((count * boot_.bits + 7) / 8);
        auto at = boot_.fat_offset + first * boot_.bits / 8;
        TRY(volume_.read(at, fat));
        if (boot_.fats == 2) {
            Bytes second(fat.size());
            TRY(volume_.read(at + boot_.fat_bytes, second));
            if (second != fat) return bad("its two FATs differ");
        }
        TRY(read_piece(fat, first, count, clusters));
    }
    return {};
}

Status FatMapper::fill(std::string_view other_owner) {
    if (!boot_.flaw.empty()) return bad(boot_.flaw);
    if (!other_owner.empty()) return bad(fmt::format("it carries the signature of {} as well", other_owner));
    if (boot_.end > volume_.size()) return bad("the file system is larger than its volume");
    if (!boot_.mirrored && boot_.fats > 1) return bad("its FATs are not kept alike (mirroring is off)");
    TRY(read_root());
    if (map_.state == VolumeState::Hibernated)
        return bad("Windows is hibernated on it (HIBERFIL.SYS holds a session): shut it down and capture again");
    TRY(check_reserved_entries());
    ClusterExtents clusters({boot_.data_offset, boot_.cluster_bytes, boot_.clusters});
    TRY(read_fats(clusters));
    if (boot_.bits == 32 && !clusters.has({boot_.root_cluster - 2, 1}))
        return bad("the root directory's cluster is free");
    if (bad_clusters_ != 0) map_.notes.push_back(fmt::format("clusters marked bad, not read: {}", bad_clusters_));
    map_.state = VolumeState::Clean;
    map_.used = clusters.extents(volume_.size());
    return {};
}

}  // namespace

std::optional<FatBoot> parse_fat_boot(ByteView head) {
    if (head.size() < 512) return std::nullopt;
    Parameters p(head);
    FatBoot boot;
    auto text16 = as_text(head.subspan(0x36, 8)), text32 = as_text(head.subspan(0x52, 8));
    if (text32 == "FAT32   "sv) boot.bits = 32;
    else if (text16 == "FAT16   "sv) boot.bits = 16;
    else if (text16 == "FAT12   "sv) boot.bits = 12;
    bool jump = (head[0] == std::byte{0xeb} && head[2] == std::byte{0x90}) || head[0] == std::byte{0xe9};
    bool signed_sector = head[510] == std::byte{0x55} && head[511] == std::byte{0xaa};
    // The texts are only for people (fatgen103): volumes of old systems have none.
    if (boot.bits == 0 && !(jump && signed_sector && p.flaw().empty())) return std::nullopt;
    fill_extended(head, p.wide, boot);
    boot.flaw = fill_geometry(p, boot);
    return boot;
}

Result<UsedMap> map_fat(BlockDevice& volume, ByteView head, const FatBoot& boot) {
    UsedMap map;
    map.filesystem = boot.bits == 0 ? "fat" : fmt::format("fat{}", boot.bits);
    map.label = boot.label;
    if (boot.serial) map.uuid = serial_text(*boot.serial);
    auto filled = FatMapper(volume, boot, map).fill(other_owner(head));
    if (filled.ok()) return map;
    if (!filled.error().is(errors::kFilesystem)) return std::move(filled).error();
    map.why_all = reason_of(filled.error());
    map.used.add({0, volume.size()});
    return map;
}

}  // namespace slipway::disks
