// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/ntfs_boot_sector.hpp"

#include <algorithm>

namespace slipway::fixup::windows {

namespace {

constexpr std::size_t kSector = 512, kEntries = 0x1be, kEntryBytes = 16, kSignature = 0x1b8;
constexpr std::uint8_t kProtective = 0xee;
constexpr std::uint32_t kCylinders = 1024;

bool is_boot_record(ByteView sector) {
    return sector.size() == kSector && sector[510] == std::byte{0x55} && sector[511] == std::byte{0xaa};
}

bool has(ByteView sector, std::size_t at, std::string_view text) {
    return as_text(sector.subspan(at, text.size())) == text;
}

std::uint64_t le(ByteView bytes, std::size_t at, std::size_t count) {
    std::uint64_t value = 0;
    for (std::size_t i = count; i-- > 0;) value = value << 8 | std::to_integer<std::uint64_t>(bytes[at + i]);
    return value;
}

void put_le(Bytes& bytes, std::size_t at, std::size_t count, std::uint64_t value) {
    for (std::size_t i = 0; i < count; ++i, value >>= 8) bytes[at + i] = static_cast<std::byte>(value & 0xff);
}

// What cannot be counted is the last place that can.
void put_chs(Bytes& bytes, std::size_t at, std::uint64_t lba, const DiskGeometry& geometry) {
    auto cylinder = lba / (std::uint64_t{geometry.heads} * geometry.sectors);
    auto head = lba / geometry.sectors % geometry.heads;
    auto sector = lba % geometry.sectors + 1;
    if (cylinder >= kCylinders) {
        cylinder = kCylinders - 1;
        head = geometry.heads - 1u;
        sector = geometry.sectors;
    }
    bytes[at] = static_cast<std::byte>(head);
    bytes[at + 1] = static_cast<std::byte>(sector | (cylinder >> 2 & 0xc0));
    bytes[at + 2] = static_cast<std::byte>(cylinder & 0xff);
}

bool beyond_cylinders(ByteView entry) { return (le(entry, 1, 1) >> 6 & 3) == 3 && le(entry, 2, 1) == 0xff; }

}  // namespace

std::optional<BootGeometry> read_boot_geometry(ByteView sector) {
    if (!is_boot_record(sector) || le(sector, 0x0b, 2) != kSector) return std::nullopt;
    if (!has(sector, 3, "NTFS    ") && !has(sector, 0x36, "FAT1") && !has(sector, 0x52, "FAT32   "))
        return std::nullopt;
    return BootGeometry{static_cast<std::uint16_t>(le(sector, 0x1a, 2)),
                        static_cast<std::uint16_t>(le(sector, 0x18, 2)),
                        static_cast<std::uint32_t>(le(sector, 0x1c, 4))};
}

Bytes with_boot_geometry(ByteView sector, const BootGeometry& geometry) {
    Bytes out(sector.begin(), sector.end());
    put_le(out, 0x18, 2, geometry.sectors);
    put_le(out, 0x1a, 2, geometry.heads);
    put_le(out, 0x1c, 4, geometry.hidden);
    return out;
}

DiskGeometry bios_geometry(std::uint64_t disk_bytes) {
    DiskGeometry out;
    const auto tracks_a_cylinder = disk_bytes / kSector / out.sectors / kCylinders;
    for (std::uint16_t heads : {16, 32, 64, 128})
        if (tracks_a_cylinder <= heads) {
            out.heads = heads;
            break;
        }
    return out;
}

std::optional<Bytes> fit_partition_table(ByteView mbr, const DiskGeometry& geometry) {
    if (!is_boot_record(mbr)) return std::nullopt;
    Bytes out(mbr.begin(), mbr.end());
    for (std::size_t i = 0; i < 4; ++i) {
        const auto at = kEntries + i * kEntryBytes;
        const auto type = le(mbr, at + 4, 1), first = le(mbr, at + 8, 4), count = le(mbr, at + 12, 4);
        if (type == kProtective) return std::nullopt;
        if (type == 0 || count == 0) continue;
        const auto cylinder = std::uint64_t{geometry.heads} * geometry.sectors;
        // Beyond the last cylinder there are several customs, all of them understood.
        const auto fit = [&](std::size_t place, std::uint64_t lba) {
            if (lba / cylinder < kCylinders || !beyond_cylinders(mbr.subspan(place, 3)))
                put_chs(out, place, lba, geometry);
        };
        fit(at + 1, first);
        fit(at + 5, first + count - 1);
    }
    return std::equal(out.begin(), out.end(), mbr.begin()) ? std::nullopt : std::optional(std::move(out));
}

std::uint32_t disk_signature(ByteView mbr) {
    return is_boot_record(mbr) ? static_cast<std::uint32_t>(le(mbr, kSignature, 4)) : 0;
}

Bytes with_disk_signature(ByteView mbr, std::uint32_t signature) {
    Bytes out(mbr.begin(), mbr.end());
    put_le(out, kSignature, 4, signature);
    return out;
}

}  // namespace slipway::fixup::windows
