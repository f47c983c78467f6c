// SPDX-License-Identifier: GPL-3.0-or-later
// What differs between two images, told from their manifests alone: no chunk is read. The grain is the chunk (1 MiB),
// so one changed byte counts as its whole chunk, cut to the disk's end and to the volume it is told for.
// Disks are paired by serial, else by order; both manifests are streamed.
#pragma once

#include <string>
#include <vector>

#include "imagestore/image_map.hpp"

namespace slipway::imagestore {

// Bytes by chunk. A chunk without data (unused or zero) reads as zero, so that two such are the same.
struct DiffBytes {
    std::uint64_t changed = 0;  // data on both sides, not the same
    std::uint64_t added = 0;    // data in B only
    std::uint64_t removed = 0;  // data in A only
    std::uint64_t total() const { return changed + added + removed; }
};

enum class Presence { Both, OnlyA, OnlyB };
std::string_view name_of(Presence presence);  // "both", "removed", "added"

struct VolumeDiff {
    Presence presence = Presence::Both;
    VolumeInfo volume;  // of B, unless only A has it; volumes are paired by partition
    bool moved = false, resized = false, reformatted = false;  // another place, length, file system or UUID
    // Within the volume: what changed and was added where B has it, what was removed where A has it.
    DiffBytes bytes;
};

struct DiskDiff {
    Presence presence = Presence::Both;
    DiskInfo disk;                   // of B, unless only A has it
    std::uint64_t old_size = 0;      // in A
    std::vector<std::string> table;  // changes of the partition table, for people
    std::vector<VolumeDiff> volumes;
    DiffBytes bytes;                // of the whole disk
    std::uint64_t same_chunks = 0;  // data on both sides, the same
};

struct ImageDiff {
    std::vector<DiskDiff> disks;
    DiffBytes bytes() const;
    bool same() const;  // content and tables
};

Result<ImageDiff> diff_images(const ImageMap& a, const ImageMap& b);

}  // namespace slipway::imagestore
