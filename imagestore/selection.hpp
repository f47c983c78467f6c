// SPDX-License-Identifier: GPL-3.0-or-later
// Which part of an image a deploy is about, and words for places on its disks.
#pragma once

#include <string>

#include "imagestore/manifest.hpp"

namespace slipway::imagestore {

struct Selection {
    const DiskSummary* disk = nullptr;
    const VolumeInfo* volume = nullptr;  // null: the whole disk
    std::uint64_t begin = 0, end = 0;    // bytes on the disk
    std::string name;                    // "sda", "sda2"
    std::uint64_t first_chunk() const { return begin / kChunkBytes; }
    std::uint64_t end_chunk() const { return (end + kChunkBytes - 1) / kChunkBytes; }
    std::uint64_t size() const { return end - begin; }
    // The part of a run inside; nothing when all of it lies outside. Ids are cut with it.
    std::optional<ChunkRun> clip(ChunkRun run) const;
};

// `volume`: a partition's number, 0 for the whole disk. The image of one volume (a disk without a table) has the volume
// it was taken from. Errors: imagestore.no-disk, .no-partition. `image` must outlive the selection.
Result<Selection> select_part(const ManifestSummary& image, std::uint32_t disk, std::uint32_t volume);

// "sda2", "nvme0n1p2"; the disk's own name for partition 0.
std::string partition_name(const std::string& disk, std::uint32_t partition);

// "4096 bytes at byte 1052672 of sda, in sda1 (ext4 'root')": whose bytes a lost range hits.
std::string describe_loss(const std::string& disk, const std::vector<VolumeInfo>& volumes, const LossInfo& loss);

// The smallest target that the disk's partitions would fit onto, bytes: they and, for a GPT, its backup.
std::uint64_t least_target(const DiskSummary& disk);

}  // namespace slipway::imagestore
