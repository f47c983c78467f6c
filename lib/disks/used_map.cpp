// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/used_map.hpp"

#include <algorithm>
#include <array>
#include <optional>

#include <fmt/format.h>

#include "lib/disks/maps/btrfs_map.hpp"
#include "lib/disks/maps/exfat_map.hpp"
#include "lib/disks/maps/ext_map.hpp"
#include "lib/disks/maps/fat_map.hpp"
#include "lib/disks/maps/ntfs_map.hpp"
#include "lib/disks/maps/swap_map.hpp"
#include "lib/disks/maps/xfs_map.hpp"

namespace slipway::disks {

void ExtentList::add(Extent extent) {
    if (extent.length == 0) return;
    if (!extents_.empty() && extent.offset <= extents_.back().end()) {
        auto& last = extents_.back();
        last.length = std::max(last.end(), extent.end()) - last.offset;
    } else {
        extents_.push_back(extent);
    }
}

std::uint64_t ExtentList::total() const {
    std::uint64_t sum = 0;
    for (const auto& e : extents_) sum += e.length;
    return sum;
}

bool ExtentList::covers(std::uint64_t offset) const {
    auto after = std::upper_bound(extents_.begin(), extents_.end(), offset,
                                  [](std::uint64_t value, const Extent& e) { return value < e.offset; });
    return after != extents_.begin() && offset < std::prev(after)->end();
}

std::string_view name_of(VolumeState state) {
    switch (state) {
        case VolumeState::Clean: return "clean";
        case VolumeState::NeedsRecovery: return "needs-recovery";
        case VolumeState::Hibernated: return "hibernated";
        case VolumeState::Unknown: return "unknown";
    }
    return "?";
}

namespace {

using namespace std::string_view_literals;

bool has(ByteView head, std::size_t offset, std::string_view bytes) {
    return head.size() >= offset + bytes.size() && as_text(head.subspan(offset, bytes.size())) == bytes;
}

// One file system: its parser says by the head whether the volume is one, and maps it.
struct Reader {
    std::optional<Result<UsedMap>> (*try_map)(BlockDevice& volume, ByteView head, const MapOptions& options);
};

constexpr std::array kReaders{
    Reader{[](BlockDevice& volume, ByteView head, const MapOptions&) -> std::optional<Result<UsedMap>> {
        if (auto super = parse_ext_superblock(head)) return map_ext(volume, *super);
        return std::nullopt;
    }},
    Reader{[](BlockDevice& volume, ByteView head, const MapOptions& options) -> std::optional<Result<UsedMap>> {
        if (auto boot = ntfs::parse_boot(head)) return map_ntfs(volume, head, *boot, options);
        return std::nullopt;
    }},
    Reader{[](BlockDevice& volume, ByteView head, const MapOptions&) -> std::optional<Result<UsedMap>> {
        if (auto boot = parse_exfat_boot(head)) return map_exfat(volume, head, *boot);
        return std::nullopt;
    }},
    Reader{[](BlockDevice& volume, ByteView head, const MapOptions&) -> std::optional<Result<UsedMap>> {
        if (auto boot = parse_fat_boot(head)) return map_fat(volume, head, *boot);
        return std::nullopt;
    }},
    Reader{[](BlockDevice& volume, ByteView head, const MapOptions&) -> std::optional<Result<UsedMap>> {
        if (auto super = parse_xfs_superblock(head)) return map_xfs(volume, *super);
        return std::nullopt;
    }},
    Reader{[](BlockDevice& volume, ByteView head, const MapOptions&) -> std::optional<Result<UsedMap>> {
        if (auto super = parse_btrfs_superblock(head)) return map_btrfs(volume, *super);
        return std::nullopt;
    }},
    // Last: the signature, at the end of a page, may be older than what was made in its place.
    Reader{[](BlockDevice& volume, ByteView head, const MapOptions&) -> std::optional<Result<UsedMap>> {
        if (auto header = parse_swap_header(head)) return map_swap(volume, *header);
        return std::nullopt;
    }},
};

struct Magic {
    std::size_t offset;
    std::string_view bytes;
    std::string_view filesystem;
};

// Recognised so that an operator reads a name; their used blocks are not read in this version.
constexpr std::array kMagics{

    Magic{0, "LUKS\xba\xbe"sv, "luks"},
    Magic{0x200, "LABELONE"sv, "lvm2"},
    Magic{0x1000, "\xfc\x4e\x2b\xa9"sv, "mdraid"},
};

}  // namespace

Result<UsedMap> map_used(BlockDevice& volume, const MapOptions& options) {
    Bytes head(std::min<std::uint64_t>(volume.size(), kMapHeadBytes));
    TRY(volume.read(0, head));
    for (const auto& reader : kReaders)
        if (auto map = reader.try_map(volume, head, options)) return std::move(*map);
    UsedMap map;
    for (const auto& magic : kMagics) {
        if (!has(head, magic.offset, magic.bytes)) continue;
        map.filesystem = magic.filesystem;
        map.why_all = fmt::format("{} is captured sector by sector in this version", magic.filesystem);
        break;
    }
    if (map.filesystem.empty()) map.why_all = "no known file system";
    map.used.add({0, volume.size()});
    return map;
}

}  // namespace slipway::disks
