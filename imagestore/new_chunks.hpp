// SPDX-License-Identifier: GPL-3.0-or-later
// What a version of an image brought that the one before did not have.
#pragma once

#include <vector>

#include "imagestore/manifest.hpp"
#include "imagestore/store.hpp"

namespace slipway::imagestore {

// The chunks of an image by 64 bits of their ids: 8 bytes a chunk. Good for counting, not for deciding what is stored.
class ChunkSet {
public:
    static Result<ChunkSet> of(const ManifestBytes& manifest);
    bool contains(const ChunkId& id) const { return place(id) < prefixes_.size(); }
    std::size_t size() const { return prefixes_.size(); }
    // Of a chunk in the set, below size(); else size().
    std::size_t place(const ChunkId& id) const;

private:
    std::vector<std::uint64_t> prefixes_;  // sorted, each once
};

struct NewChunks {
    std::uint64_t chunks = 0;        // different ones
    std::uint64_t bytes = 0;         // of disk
    std::uint64_t stored_bytes = 0;  // as they lie in the store; what is missing there counts nothing
};
// own: of that manifest. Errors: imagestore.bad-manifest, base.*.
Result<NewChunks> count_new(const ManifestBytes& manifest, const ChunkSet& own, const ChunkSet& before, Store& store);

}  // namespace slipway::imagestore
