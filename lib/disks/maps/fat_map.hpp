// SPDX-License-Identifier: GPL-3.0-or-later
// FAT12, FAT16 and FAT32 by used clusters. Source: Microsoft "FAT: General Overview of On-Disk Format" 1.03
// (fatgen103), which makes the kind a matter of the number of clusters alone.
//
// Kept: everything before the first cluster (boot sectors, FSInfo, all FATs, the root directory of FAT12/16), every
// cluster whose FAT entry is neither free nor bad, and everything behind the last cluster: such tail sectors belong to
// no file, but boot managers and copy protection have put things there.
// Clusters marked bad are not read: they hold no file, and reading them stalls or fails. Their number is in the notes.
// The whole volume is kept, with the reason in why_all, when
//   - it was not unmounted, or met errors: bits 15/14 of FAT[1] (FAT16), 27/26 (FAT32), bit 0 of the boot sector's
//     state byte (0x25, in FAT32 0x41): state NeedsRecovery;
//   - HIBERFIL.SYS in the root directory holds a session, as with NTFS: state Hibernated;
//   - two FATs differ, or FAT32's mirroring is off so that they may;
//   - a FAT entry leads outside the volume, or the boot sector does not add up: the number of clusters asks for another
//     kind than the boot sector's layout is of (mkfs.fat -F 32 on less than 32 MiB), the FAT is too small, …
// Limits: 512 to 4096-byte sectors, one or two FATs. FATs are streamed 1 MiB at a time.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lib/disks/used_map.hpp"

namespace slipway::disks {

struct FatBoot {
    unsigned bits = 0;  // 12, 16, 32; by the boot sector's texts while there is a flaw, 0 when they are missing too
    std::uint32_t sector_bytes = 0, cluster_bytes = 0;
    std::uint64_t fat_offset = 0, fat_bytes = 0;  // of the first FAT, from the start of the volume; bytes of one
    unsigned fats = 0;
    std::uint64_t root_offset = 0;  // FAT12/16
    std::uint32_t root_entries = 0;
    std::uint32_t root_cluster = 0;  // FAT32
    std::uint64_t data_offset = 0;   // of cluster 2
    std::uint32_t clusters = 0;
    std::uint64_t end = 0;  // bytes, of the last sector counted
    std::uint8_t media = 0;
    bool mirrored = true, dirty = false;
    std::optional<std::uint32_t> serial;
    std::string label;  // of the boot sector, empty when it is "NO NAME"
    std::string flaw;   // not empty: an impossible value
};

// head: the first 512 bytes or more. nullopt: not FAT, neither by the texts of its boot sector nor by its values.
std::optional<FatBoot> parse_fat_boot(ByteView head);
// head: as map_used reads it. Only a read error is an Error.
Result<UsedMap> map_fat(BlockDevice& volume, ByteView head, const FatBoot& boot);

}  // namespace slipway::disks
