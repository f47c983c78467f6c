// SPDX-License-Identifier: GPL-3.0-or-later
// What a BIOS boot of Windows reads before any driver: the geometry in the boot sector of a volume, and the cylinders
// of the partition table. Pure codecs of single sectors.
//
// Boot sector of NTFS and FAT (little-endian): 0x0b bytes per sector (16 bits), 0x18 sectors per track (16), 0x1a heads
// (16), 0x1c hidden sectors (32): the LBA that the volume begins at. Seen in volumes of Windows XP and 10.
// Partition table: 0x1b8 signature (32), 0x1be four entries of 16 bytes: 1 head, 2 sector and cylinder's high bits, 3
// cylinder, 4 type, 5..7 the end likewise, 8 first LBA (32), 12 count (32).
#pragma once

#include <cstdint>
#include <optional>

#include "lib/base/bytes.hpp"

namespace slipway::fixup::windows {

struct BootGeometry {
    std::uint16_t heads = 0, sectors = 0;
    std::uint32_t hidden = 0;
    bool operator==(const BootGeometry&) const = default;
};

// nullopt: no NTFS and no FAT with 512-byte sectors begins here.
std::optional<BootGeometry> read_boot_geometry(ByteView sector);
// sector has a geometry (above).
Bytes with_boot_geometry(ByteView sector, const BootGeometry& geometry);

// The heads and sectors that a BIOS shows of a disk by LBA-assisted translation, which SeaBIOS does for every disk
// behind a controller; virt-v2v's fix_ntfs_heads has the same numbers.
struct DiskGeometry {
    std::uint16_t heads = 255, sectors = 63;
};
DiskGeometry bios_geometry(std::uint64_t disk_bytes);

// The table with its cylinders, heads and sectors as that geometry counts, where they are not: an old BIOS and the boot
// code of NT 4 to 2003 take the geometry of a disk from them, and then do not find the next sector. nullopt: nothing to
// do, or no table (GPT's protective one counts as none).
std::optional<Bytes> fit_partition_table(ByteView mbr, const DiskGeometry& geometry);

std::uint32_t disk_signature(ByteView mbr);
Bytes with_disk_signature(ByteView mbr, std::uint32_t signature);

}  // namespace slipway::fixup::windows
