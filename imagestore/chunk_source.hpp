// SPDX-License-Identifier: GPL-3.0-or-later
// Where a deploy or a mount gets chunks from: the local Store, or a remote source.
#pragma once

#include <span>
#include <vector>

#include "imagestore/chunk.hpp"

namespace slipway::imagestore {

// Calls come from one thread at a time. What comes back is not trusted: the user of a source
// decodes it with decode_chunk() (codec.hpp), which checks it against the id.
class ChunkSource {
public:
    virtual ~ChunkSource() = default;
    // The encoded chunk. Error: imagestore.chunk-missing.
    virtual Result<Bytes> get(const ChunkId& id) = 0;
    // In the order of `ids`. Callers ask for at most kGetManyLimit at once.
    virtual Result<std::vector<Bytes>> get_many(std::span<const ChunkId> ids);
};
inline constexpr std::size_t kGetManyLimit = 64;

}  // namespace slipway::imagestore
