// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/image_disk.hpp"

#include <algorithm>

#include "imagestore/errors.hpp"
#include "lib/disks/errors.hpp"

namespace slipway::imagestore {

Result<std::unique_ptr<ImageDisk>> ImageDisk::create(const ImageMap& map, std::uint32_t disk, ChunkCache& cache) {
    auto count = map.summary().disks.size();
    if (disk >= count) return make_error(errors::kNoDisk, "the image has {} disks, not number {}", count, disk);
    return std::unique_ptr<ImageDisk>(new ImageDisk(map, disk, cache));
}

Result<ImageDisk::Chunk> ImageDisk::find(std::uint64_t number) {
    if (number < run_.first || number - run_.first >= run_.count) {
        auto run = TRY(map_.from(disk_, number).next());
        if (!run || run->first != number) return make_error(errors::kBadManifest, "it does not name chunk {}", number);
        run_ = std::move(*run);
    }
    if (run_.kind != RunKind::Data) return Chunk{run_.kind, {}};
    return Chunk{run_.kind, run_.ids[number - run_.first]};
}

Result<ImageDisk::Chunk> ImageDisk::chunk_at(std::uint64_t number) {
    std::lock_guard lock(mutex_);
    return find(number);
}

// As chunk_at(), for a read: whoever reads on gets the next chunk decoded meanwhile.
Result<ImageDisk::Chunk> ImageDisk::advance(std::uint64_t number) {
    std::optional<ChunkId> next;
    Chunk chunk;
    {
        std::lock_guard lock(mutex_);
        chunk = TRY(find(number));
        auto after = number + 1 - run_.first;
        if (number == last_ + 1 && run_.kind == RunKind::Data && after < run_.count) next = run_.ids[after];
        last_ = number;
    }
    if (next) cache_.expect(*next);
    return chunk;
}

Status ImageDisk::read(std::uint64_t offset, std::span<std::byte> buffer) {
    TRY(check_range(offset, buffer.size()));
    while (!buffer.empty()) {
        auto number = offset / kChunkBytes;
        auto within = offset % kChunkBytes;
        auto part = buffer.first(std::min<std::size_t>(buffer.size(), kChunkBytes - within));
        auto chunk = TRY(advance(number));
        if (chunk.kind == RunKind::Data) {
            auto plain = TRY(cache_.get(chunk.id));
            if (plain->size() != info_.chunk_length(number))
                return make_error(errors::kBadManifest, "chunk {} has {} bytes", number, plain->size());
            std::copy_n(plain->begin() + static_cast<std::ptrdiff_t>(within), part.size(), part.begin());
        } else {
            std::fill(part.begin(), part.end(), std::byte{0});
        }
        offset += part.size();
        buffer = buffer.subspan(part.size());
    }
    return {};
}

Status ImageDisk::write(std::uint64_t, ByteView) {
    return make_error(disks::errors::kReadOnly, "a disk of an image is never written");
}

Result<bool> ImageDisk::discard(std::uint64_t, std::uint64_t) {
    return make_error(disks::errors::kReadOnly, "a disk of an image is never written");
}

}  // namespace slipway::imagestore
