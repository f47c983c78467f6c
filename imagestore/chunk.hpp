// SPDX-License-Identifier: GPL-3.0-or-later
// Chunks: an aligned 1 MiB of a disk with its unused bytes zeroed (the last one of a disk may be
// shorter), named by the SHA-256 of those bytes. This header, chunk_sink.hpp and chunk_source.hpp
// need lib/base alone, so that remote implementations can build against them.
#pragma once

#include <cstdint>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"
#include "lib/base/sha256.hpp"

namespace slipway::imagestore {

inline constexpr std::uint32_t kChunkBytes = 1u << 20;
using ChunkId = Digest;

// Encoded chunk = codec byte + payload. A payload is never longer than the chunk, so an encoded
// chunk is at most kMaxEncodedBytes.
enum class ChunkCodec : std::uint8_t { Raw = 0, Zstd = 1 };
inline constexpr std::size_t kMaxEncodedBytes = kChunkBytes + 1;

}  // namespace slipway::imagestore
