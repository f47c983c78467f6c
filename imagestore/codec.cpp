// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/codec.hpp"

#include <algorithm>
#include <array>
#include <cstring>

#include <zstd.h>

#include "imagestore/errors.hpp"

namespace slipway::imagestore {

struct ChunkEncoder::Context {
    ZSTD_CCtx* zstd = ZSTD_createCCtx();
    const int level;
    explicit Context(int l) : level(std::clamp(l, 1, 19)) {
        ZSTD_CCtx_setParameter(zstd, ZSTD_c_compressionLevel, level);
        if (level != 3) return;
        // Tables twice as large as zstd's own at this level: 0.7 % fewer bytes, for what a stream finds in its longer
        // window and a chunk of 1 MiB cannot.
        ZSTD_CCtx_setParameter(zstd, ZSTD_c_hashLog, 18);
        ZSTD_CCtx_setParameter(zstd, ZSTD_c_chainLog, 18);
    }
    ~Context() { ZSTD_freeCCtx(zstd); }
};

ChunkEncoder::ChunkEncoder(int level) : context_(std::make_unique<Context>(level)) {}
ChunkEncoder::~ChunkEncoder() = default;
ChunkEncoder::ChunkEncoder(ChunkEncoder&&) noexcept = default;
ChunkEncoder& ChunkEncoder::operator=(ChunkEncoder&&) noexcept = default;

namespace {

constexpr std::size_t kSampleBytes = 4096;

void store_raw(ByteView chunk, Bytes& out) {
    out.resize(chunk.size() + 1);
    out[0] = std::byte{static_cast<std::uint8_t>(ChunkCodec::Raw)};
    std::copy(chunk.begin(), chunk.end(), out.begin() + 1);
}

}  // namespace

// Three samples of 4 KiB at level 1: when none shrinks by 3 %, the whole is taken as not
// compressible. Costs about 1 % of compressing the chunk.
bool ChunkEncoder::looks_incompressible(ByteView chunk) {
    if (chunk.size() < 16 * kSampleBytes) return false;
    std::array<std::byte, kSampleBytes + 512> scratch;
    for (std::size_t part : {1u, 4u, 6u}) {
        auto sample = chunk.subspan(chunk.size() / 8 * part, kSampleBytes);
        auto n = ZSTD_compressCCtx(context_->zstd, scratch.data(), scratch.size(), sample.data(), sample.size(), 1);
        if (!ZSTD_isError(n) && n < kSampleBytes * 97 / 100) return false;
    }
    return true;
}

void ChunkEncoder::encode(ByteView chunk, Bytes& out) {
    if (looks_incompressible(chunk)) return store_raw(chunk, out);
    // One byte less than the chunk: zstd gives up where raw would be as short.
    out.resize(chunk.size() + 1);
    auto n = ZSTD_compress2(context_->zstd, out.data() + 1, chunk.size() - 1, chunk.data(), chunk.size());
    if (ZSTD_isError(n)) return store_raw(chunk, out);
    out[0] = std::byte{static_cast<std::uint8_t>(ChunkCodec::Zstd)};
    out.resize(n + 1);
}

struct ChunkDecoder::Context {
    ZSTD_DCtx* zstd = ZSTD_createDCtx();
    ~Context() { ZSTD_freeDCtx(zstd); }
};

ChunkDecoder::ChunkDecoder() : context_(std::make_unique<Context>()) {}
ChunkDecoder::~ChunkDecoder() = default;
ChunkDecoder::ChunkDecoder(ChunkDecoder&&) noexcept = default;
ChunkDecoder& ChunkDecoder::operator=(ChunkDecoder&&) noexcept = default;

Status ChunkDecoder::decode_unchecked(ByteView encoded, Bytes& out) {
    if (encoded.size() < 2 || encoded.size() > kMaxEncodedBytes)
        return make_error(errors::kBadChunk, "an encoded chunk of {} bytes", encoded.size());
    auto payload = encoded.subspan(1);
    switch (std::to_integer<std::uint8_t>(encoded[0])) {
        case static_cast<std::uint8_t>(ChunkCodec::Raw): out.assign(payload.begin(), payload.end()); return {};
        case static_cast<std::uint8_t>(ChunkCodec::Zstd): break;
        default: return make_error(errors::kNewerFormat, "chunk codec {}", std::to_integer<int>(encoded[0]));
    }
    // The frame says its size (our encoder always writes it), so nothing larger is ever allocated.
    auto size = ZSTD_getFrameContentSize(payload.data(), payload.size());
    if (size == ZSTD_CONTENTSIZE_UNKNOWN || size == ZSTD_CONTENTSIZE_ERROR || size == 0 || size > kChunkBytes)
        return make_error(errors::kBadChunk, "the zstd frame claims no size from 1 to {}", kChunkBytes);
    out.resize(size);
    auto n = ZSTD_decompressDCtx(context_->zstd, out.data(), out.size(), payload.data(), payload.size());
    if (ZSTD_isError(n)) return make_error(errors::kBadChunk, "zstd: {}", ZSTD_getErrorName(n));
    if (n != size) return make_error(errors::kBadChunk, "the zstd frame held {} bytes, not {}", n, size);
    return {};
}

Status ChunkDecoder::decode(const ChunkId& id, ByteView encoded, Bytes& out) {
    TRY(decode_unchecked(encoded, out));
    if (sha256(out) == id) return {};
    return make_error(errors::kBadChunk, "chunk {} holds other bytes than its name says", id.text());
}

}  // namespace slipway::imagestore
