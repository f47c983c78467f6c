// SPDX-License-Identifier: GPL-3.0-or-later
// Reads one chunk of a disk: its used bytes, the rest zero. What cannot be read is tried again in
// smaller pieces, then zero and named as a loss.
#pragma once

#include <vector>

#include "imagestore/manifest.hpp"
#include "lib/disks/used_map.hpp"

namespace slipway::imagestore {

inline constexpr std::size_t kMaxLosses = 1024;  // ranges; a disk that fails more often is given up

class ChunkReader {
public:
    // Both outlive the reader. Extents are walked forward; read() of an earlier chunk starts over.
    ChunkReader(disks::BlockDevice& device, const disks::ExtentList& used) : device_(device), used_(used) {}

    bool any_used(std::uint64_t chunk);
    // Fills `out` (sized to the chunk's length). Error: imagestore.source-failing.
    Status read(std::uint64_t chunk, Bytes& out);

    std::uint64_t bytes_read() const { return bytes_read_; }
    const std::vector<LossInfo>& losses() const { return losses_; }

private:
    void seek(std::uint64_t offset);
    Status read_range(std::uint64_t offset, std::span<std::byte> out);
    Status read_pieces(std::uint64_t offset, std::span<std::byte> out, std::size_t piece);

    disks::BlockDevice& device_;
    const disks::ExtentList& used_;
    std::size_t next_ = 0;  // first extent that ends beyond the current chunk's start
    std::uint64_t position_ = 0;
    std::uint64_t bytes_read_ = 0;
    std::vector<LossInfo> losses_;
};

}  // namespace slipway::imagestore
