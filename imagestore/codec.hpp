// SPDX-License-Identifier: GPL-3.0-or-later
// Encoding and decoding of chunks. Pure; one encoder or decoder a thread.
#pragma once

#include <memory>

#include "imagestore/chunk.hpp"

namespace slipway::imagestore {

class ChunkEncoder {
public:
    // level as zstd's (1..19). Small levels keep a context of about 1 MiB.
    explicit ChunkEncoder(int level);
    ~ChunkEncoder();
    ChunkEncoder(ChunkEncoder&&) noexcept;
    ChunkEncoder& operator=(ChunkEncoder&&) noexcept;

    // chunk: 1..kChunkBytes bytes. Stored raw when a cheap look (three samples) or the whole try
    // says that it does not shrink. `out` is replaced; its capacity is used again.
    void encode(ByteView chunk, Bytes& out);

private:
    bool looks_incompressible(ByteView chunk);
    struct Context;
    std::unique_ptr<Context> context_;
};

class ChunkDecoder {
public:
    ChunkDecoder();
    ~ChunkDecoder();
    ChunkDecoder(ChunkDecoder&&) noexcept;
    ChunkDecoder& operator=(ChunkDecoder&&) noexcept;

    // Hostile bytes in: the plain chunk (1..kChunkBytes bytes) comes out only when its SHA-256 is
    // `id`; imagestore.bad-chunk otherwise. `out` is replaced.
    Status decode(const ChunkId& id, ByteView encoded, Bytes& out);
    // The same without the hash, for the fuzzer and for what is hashed elsewhere.
    Status decode_unchecked(ByteView encoded, Bytes& out);

private:
    struct Context;
    std::unique_ptr<Context> context_;
};

}  // namespace slipway::imagestore
