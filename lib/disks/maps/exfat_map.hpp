// SPDX-License-Identifier: GPL-3.0-or-later
// exFAT by used clusters. Source: Microsoft "exFAT file system specification" (2019), sections 3 (boot regions), 4
// (FAT), 6 and 7 (directory entries).
//
// Kept: everything before the cluster heap (both boot regions, the FAT and the gaps around them), every cluster that
// the allocation bitmap calls used, and everything behind the last cluster. Bad clusters are used in the bitmap; they
// are read as any other, and what cannot be read is listed by the capture.
// The whole volume is kept, with the reason in why_all, when VolumeDirty is set (state NeedsRecovery), with two FATs
// (TexFAT), and when something does not add up: the main boot region's checksum, the bitmap's or the up-case table's
// size, chain or clusters, the up-case table's checksum, … A damaged backup boot region or the MediaFailure flag is a
// note.
// Limits: up to 2^32-11 clusters of 512 bytes to 32 MiB, as the specification says. The bitmap is streamed; chains are
// followed as runs, at most 2^20 of them (16 MiB).
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lib/disks/used_map.hpp"

namespace slipway::disks {

struct ExfatBoot {
    std::uint32_t sector_bytes = 0, cluster_bytes = 0;
    std::uint64_t fat_offset = 0, fat_bytes = 0;  // bytes
    std::uint64_t heap_offset = 0;                // bytes, of cluster 2
    std::uint32_t clusters = 0;
    std::uint32_t root_cluster = 0;
    std::uint64_t end = 0;  // bytes
    std::uint32_t serial = 0;
    unsigned fats = 1;
    bool dirty = false, media_failure = false, second_fat = false;
    std::string flaw;  // not empty: an impossible value; only the serial may be used
};

// head: the first 512 bytes or more. nullopt: not exFAT by its signature.
std::optional<ExfatBoot> parse_exfat_boot(ByteView head);
// The checksum of a boot region's first 11 sectors (section 3.4).
std::uint32_t exfat_boot_checksum(ByteView sectors);
// head: as map_used reads it. Only a read error is an Error.
Result<UsedMap> map_exfat(BlockDevice& volume, ByteView head, const ExfatBoot& boot);

}  // namespace slipway::disks
