// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/chunk_reader.hpp"

#include <algorithm>

#include "imagestore/errors.hpp"

namespace slipway::imagestore {

void ChunkReader::seek(std::uint64_t offset) {
    const auto& extents = used_.extents();
    if (offset < position_) next_ = 0;
    position_ = offset;
    while (next_ < extents.size() && extents[next_].end() <= offset) ++next_;
}

bool ChunkReader::any_used(std::uint64_t chunk) {
    auto start = chunk * kChunkBytes;
    seek(start);
    return next_ < used_.extents().size() && used_.extents()[next_].offset < start + kChunkBytes;
}

Status ChunkReader::read(std::uint64_t chunk, Bytes& out) {
    auto start = chunk * kChunkBytes;
    auto end = std::min<std::uint64_t>(start + kChunkBytes, device_.size());
    out.resize(end - start);
    seek(start);
    const auto& extents = used_.extents();
    auto zeroed = start;  // gaps only: most chunks have none
    auto zero_until = [&](std::uint64_t to) {
        std::fill(out.begin() + static_cast<std::ptrdiff_t>(zeroed - start),
                  out.begin() + static_cast<std::ptrdiff_t>(to - start), std::byte{0});
    };
    for (auto i = next_; i < extents.size() && extents[i].offset < end; ++i) {
        auto from = std::max(extents[i].offset, start), to = std::min(extents[i].end(), end);
        zero_until(from);
        TRY(read_range(from, std::span(out).subspan(from - start, to - from)));
        bytes_read_ += to - from;
        zeroed = to;
    }
    zero_until(end);
    return {};
}

Status ChunkReader::read_range(std::uint64_t offset, std::span<std::byte> out) {
    if (device_.read(offset, out)) return {};
    return read_pieces(offset, out, 64u << 10);
}

Status ChunkReader::read_pieces(std::uint64_t offset, std::span<std::byte> out, std::size_t piece) {
    const std::size_t smallest = std::max(4096u, device_.sector_size());
    while (!out.empty()) {
        // Pieces end at multiples of their size, so that a loss is whole sectors.
        auto length = std::min<std::size_t>(out.size(), piece - offset % piece);
        auto part = out.first(length);
        auto got = device_.read(offset, part);
        if (!got && piece > smallest) {
            TRY(read_pieces(offset, part, smallest));
        } else if (!got) {
            std::fill(part.begin(), part.end(), std::byte{0});
            if (!losses_.empty() && losses_.back().offset + losses_.back().length == offset)
                losses_.back().length += length;
            else losses_.push_back({offset, length});
            if (losses_.size() > kMaxLosses)
                return make_error(errors::kSourceFailing,
                                  "more than {} ranges could not be read; the last at byte {}: {}", kMaxLosses, offset,
                                  got.error().describe());
        }
        offset += length;
        out = out.subspan(length);
    }
    return {};
}

}  // namespace slipway::imagestore
