// SPDX-License-Identifier: GPL-3.0-or-later
// HKLM\SYSTEM\MountedDevices: which volume has which drive letter. A value is
//   12 bytes: the disk's signature (MBR offset 0x1b8, LE), the partition's byte offset (LE 64)
//   24 bytes: "DMIO:ID:" and the GUID of a GPT partition, or of a dynamic disk's volume
//   else    : UTF-16LE, the path of a device without partitions
// as seen in hives of Windows XP, 7, 8.1 and 10. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "guest-fixup/windows/disk_place.hpp"

namespace slipway::fixup::windows {

struct MbrVolume {
    std::uint32_t signature = 0;
    std::uint64_t offset = 0;
    bool operator==(const MbrVolume&) const = default;
};
std::optional<MbrVolume> parse_mbr_volume(std::string_view value);
std::optional<Uuid> parse_gpt_volume(std::string_view value);

// The value that a partition has now; empty when it has no identity (a disk without a table or signature).
std::string value_of(const DiskPlace& place, const disks::Partition& partition);

// What a value is to be, when system_volume was the value of Windows' own volume: that one becomes what it is now; of
// an MBR disk whose signature is another now, the others with a partition at their offset follow. nullopt: it stays.
std::optional<std::string> new_value(const DiskPlace& place, std::string_view system_volume, std::string_view value);

}  // namespace slipway::fixup::windows
