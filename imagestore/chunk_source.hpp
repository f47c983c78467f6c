// SPDX-License-Identifier: GPL-3.0-or-later
// Where a deploy or a mount gets chunks from: the local Store, or a remote source.
#pragma once

#include <functional>
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
    // Takes ids[index]; its error ends what is under way.
    using Take = std::function<Status(std::size_t index, Bytes encoded)>;
    // In the order of `ids`, each taken as soon as it is there: what came before an error was taken. Callers ask for at
    // most kGetManyLimit at once.
    virtual Status get_each(std::span<const ChunkId> ids, const Take& take);
    Result<std::vector<Bytes>> get_many(std::span<const ChunkId> ids);  // all of them, by get_each
};
inline constexpr std::size_t kGetManyLimit = 64;

}  // namespace slipway::imagestore
