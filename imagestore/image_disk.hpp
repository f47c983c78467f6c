// SPDX-License-Identifier: GPL-3.0-or-later
// One disk of an image as a read-only block device, read at random out of the store.
// What the source could not read (losses) and what was not taken (unused ranges) reads as zero, as a deploy lays it
// down: ImageMap::summary() lists the losses, and whoever shows the disk to a person says so.
// A writable overlay would stand above it: chunk_at() tells it which chunks a new version keeps by name.
#pragma once

#include "imagestore/chunk_cache.hpp"
#include "imagestore/image_map.hpp"
#include "lib/disks/block.hpp"

namespace slipway::imagestore {

class ImageDisk final : public disks::BlockDevice {
public:
    // `map` and `cache` outlive the disk; several disks may share a cache. Error: imagestore.no-disk.
    static Result<std::unique_ptr<ImageDisk>> create(const ImageMap& map, std::uint32_t disk, ChunkCache& cache);

    std::uint64_t size() const override { return info_.size; }
    unsigned sector_size() const override { return info_.sector_size; }
    bool writable() const override { return false; }
    // Errors: disks.range, imagestore.bad-chunk, .chunk-missing, .bad-manifest. Thread-safe.
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override;
    Status write(std::uint64_t offset, ByteView data) override;
    Result<bool> discard(std::uint64_t offset, std::uint64_t length) override;
    Status flush() override { return {}; }

    struct Chunk {
        RunKind kind = RunKind::Unused;
        ChunkId id;  // when Data
    };
    Result<Chunk> chunk_at(std::uint64_t number);

private:
    ImageDisk(const ImageMap& map, std::uint32_t disk, ChunkCache& cache)
        : map_(map), disk_(disk), info_(map.summary().disks[disk].disk), cache_(cache) {}
    Result<Chunk> find(std::uint64_t number);  // under the mutex
    Result<Chunk> advance(std::uint64_t number);

    const ImageMap& map_;
    const std::uint32_t disk_;
    const DiskInfo info_;
    ChunkCache& cache_;
    std::mutex mutex_;  // guards what follows; taken without the cache's
    ChunkRun run_;      // the one used last
    std::uint64_t last_ = 0;
};

}  // namespace slipway::imagestore
