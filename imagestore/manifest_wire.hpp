// SPDX-License-Identifier: GPL-3.0-or-later
// Numbers shared by the manifest's writer and reader; the grammar is in manifest.hpp.
#pragma once

#include <cstdint>
#include <string_view>

namespace slipway::imagestore::wire {

inline constexpr std::string_view kManifestMagic = "SLIPMANI", kManifestEnd = "SLIPMEND";
inline constexpr std::size_t kManifestHeaderBytes = 16, kManifestTrailerBytes = 48;
inline constexpr std::size_t kRecordPrefixBytes = 5, kRunPrefixBytes = 5, kIdBytes = 32;

enum Record : std::uint8_t {
    kImage = 1,
    kDisk = 2,
    kPartition = 3,
    kVolume = 4,
    kRuns = 5,
    kLoss = 6,
    kDiskEnd = 7,
    kSkippable = 0x80,  // from here up a reader may skip what it does not know
};

enum VolumeFlag : std::uint32_t { kEverySector = 1, kExcluded = 2 };

}  // namespace slipway::imagestore::wire
