// SPDX-License-Identifier: GPL-3.0-or-later
// Chunks that come by themselves, in any order, to many deploys at once (multicast/ is where they come from).
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "imagestore/manifest.hpp"

namespace slipway::imagestore {

// The distinct chunks of an image, numbered in the order of their first appearance: both sides of a broadcast derive
// it from the manifest. 36 bytes a chunk, and as much again while it is made.
class ChunkPlan {
public:
    // Error: imagestore.bad-manifest, also for more than 2^31 chunks.
    static Result<ChunkPlan> of(const ManifestBytes& manifest);
    std::uint32_t size() const { return static_cast<std::uint32_t>(ids_.size()); }
    const ChunkId& id(std::uint32_t number) const { return ids_[number]; }
    std::optional<std::uint32_t> find(const ChunkId& id) const;

private:
    std::vector<ChunkId> ids_;
    std::vector<std::uint32_t> by_id_;  // numbers, in the order of their ids
};

class ChunkBroadcast {
public:
    virtual ~ChunkBroadcast() = default;
    // encoded: as the sender has it. False: it is not what the manifest says. An error is of the target: it ends the
    // deploy.
    using Take = std::function<Result<bool>(std::uint32_t number, ByteView encoded)>;
    // Hands on wanted chunks as they come, until none is left or the broadcast can do no more for this receiver; what
    // is wanting then is asked of the deploy's source.
    virtual Status receive(const ChunkPlan& plan, std::vector<bool> wanted, const Take& take) = 0;
};

}  // namespace slipway::imagestore
