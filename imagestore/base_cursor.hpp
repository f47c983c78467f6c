// SPDX-License-Identifier: GPL-3.0-or-later
// Walks the chunks of an earlier image beside a capture's. Only a hint: what is captured is read and hashed in any
// case; where the hash is the base's, the sink need not be asked.
#pragma once

#include "imagestore/manifest.hpp"

namespace slipway::imagestore {

class BaseCursor {
public:
    // `base` outlives it. Disks are the same by serial, else by order (among those without one).
    static Result<BaseCursor> create(const ManifestBytes& base);

    // The base's chunk of that place; nothing where it has none (no data there, no such disk). Chunks are asked for
    // in rising order; a base that cannot be read further is no base any more.
    std::optional<ChunkId> at(const DiskInfo& disk, std::uint64_t chunk);

private:
    explicit BaseCursor(const ManifestBytes& base) : base_(&base) {}
    void open(const DiskInfo& disk);
    bool advance();

    const ManifestBytes* base_;
    std::vector<DiskInfo> disks_;
    std::optional<ManifestReader> reader_;
    std::optional<std::uint32_t> asked_, inside_;  // of the capture; of the base
    std::uint32_t wanted_ = 0;
    std::optional<ChunkRun> run_;
};

}  // namespace slipway::imagestore
