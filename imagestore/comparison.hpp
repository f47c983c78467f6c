// SPDX-License-Identifier: GPL-3.0-or-later
// What a target holds already of the part of an image that is to be laid down on it: an earlier version, or what an
// interrupted deploy left. Places are read and hashed; nothing is believed for any other reason, and nothing written.
// The caller has seen to it that reads come from the medium (BlockDevice::read_past_cache).
#pragma once

#include <atomic>
#include <vector>

#include "imagestore/selection.hpp"
#include "lib/base/progress.hpp"

namespace slipway::disks {
class BlockDevice;
}

namespace slipway::imagestore {

struct ComparisonOptions {
    unsigned threads = 1;
    std::uint64_t data_chunks = 0;              // of the part
    const std::atomic<bool>* cancel = nullptr;  // not owned
    ProgressSink progress;                      // of comparison alone; called by one thread at a time
};

// A few places, evenly over the data of the part, tell whether to read all of it pays.
struct Sample {
    static constexpr std::uint64_t kPlaces = 32;
    std::uint64_t places = 0, equal = 0;
    // An eighth. To read a disk takes about as long as to write it; what is saved is the wire, of which a machine in a
    // rack seldom has more than an eighth of its disk's speed. Where a quarter of all is equal the sample misses that
    // one time in forty, where three eighths are, one in two thousand (binomial, 32 places).
    bool pays() const { return equal > 0 && equal * 8 >= places; }
};

// Chunks are read from `target` at their places on the image's disk. What cannot be read is not equal: the sectors may
// be written all the same. Errors: imagestore.bad-manifest, .cancelled.
Result<Sample> sample_target(const ManifestBytes& manifest, const Selection& part, disks::BlockDevice& target,
                             const ComparisonOptions& options);
// By chunk, from the part's first: its data is there. False for what is no data.
Result<std::vector<bool>> compare_target(const ManifestBytes& manifest, const Selection& part,
                                         disks::BlockDevice& target, const ComparisonOptions& options);

}  // namespace slipway::imagestore
