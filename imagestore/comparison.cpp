// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/comparison.hpp"

#include <algorithm>
#include <functional>
#include <mutex>
#include <thread>

#include "imagestore/errors.hpp"
#include "imagestore/part_walk.hpp"
#include "lib/disks/block.hpp"

namespace slipway::imagestore {

namespace {

struct Place {
    std::uint64_t chunk = 0;
    ChunkId id;
};

// Data places of a part, first to last.
class DataWalk {
public:
    DataWalk(const ManifestBytes& manifest, const Selection& part) : walk_(manifest, part) {}
    Result<std::optional<Place>> next() {
        while (at_ == run_.ids.size()) {
            auto run = TRY(walk_.next_run());
            if (!run) return std::optional<Place>();
            run_ = std::move(*run);
            at_ = 0;
        }
        Place place{run_.first + at_, run_.ids[at_]};
        ++at_;
        return std::optional(place);
    }

private:
    PartWalk walk_;
    ChunkRun run_;
    std::size_t at_ = 0;
};

// Each thread takes a place, reads and hashes it, and says with its next one what it found.
class Readers {
public:
    using Next = std::function<Result<std::optional<Place>>()>;
    using Verdict = std::function<void(std::uint64_t chunk, bool equal)>;
    Readers(disks::BlockDevice& target, const DiskInfo& disk, const ComparisonOptions& options, Next next,
            Verdict verdict)
        : target_(target), disk_(disk), options_(options), next_(std::move(next)), verdict_(std::move(verdict)) {}

    Status run() {
        {
            std::vector<std::jthread> pool;
            for (unsigned i = 1; i < options_.threads; ++i) pool.emplace_back([&] { read_all(); });
            read_all();
        }
        if (error_) return *error_;
        return {};
    }

private:
    void read_all() {
        Bytes there;
        for (auto place = take(); place; place = take()) {
            there.resize(disk_.chunk_length(place->chunk));
            const auto read = target_.read(place->chunk * kChunkBytes, there);
            tell(place->chunk, read && sha256(there) == place->id, there.size());
        }
    }
    std::optional<Place> take() {
        std::lock_guard hold(mutex_);
        if (error_) return std::nullopt;
        if (options_.cancel && *options_.cancel) {
            error_ = make_error(errors::kCancelled, "the deploy was cancelled");
            return std::nullopt;
        }
        auto place = next_();
        if (place) return *place;
        error_ = std::move(place).error();
        return std::nullopt;
    }
    void tell(std::uint64_t chunk, bool equal, std::size_t bytes) {
        std::lock_guard hold(mutex_);
        verdict_(chunk, equal);
        read_ += bytes;
        if (options_.progress)
            options_.progress({read_, std::max(read_, options_.data_chunks * kChunkBytes), "comparing"});
    }

    disks::BlockDevice& target_;
    const DiskInfo& disk_;
    const ComparisonOptions& options_;
    std::mutex mutex_;  // over what follows
    Next next_;
    Verdict verdict_;
    std::uint64_t read_ = 0;
    std::optional<Error> error_;
};

// The middles of `count` equal parts of the data, or all of it where it is no more.
Result<std::vector<Place>> places_of_sample(const ManifestBytes& manifest, const Selection& part,
                                            std::uint64_t data_chunks) {
    const auto count = std::min(data_chunks, Sample::kPlaces);
    std::vector<Place> out;
    DataWalk walk(manifest, part);
    for (std::uint64_t ordinal = 0; out.size() < count; ++ordinal) {
        auto place = TRY(walk.next());
        if (!place) break;
        // Divided first: n * 64 of a hostile manifest may not fit.
        const auto i = out.size();
        const auto wanted = data_chunks / count * i + data_chunks % count * i / count + data_chunks / count / 2;
        if (ordinal == wanted) out.push_back(*place);
    }
    return out;
}

}  // namespace

Result<Sample> sample_target(const ManifestBytes& manifest, const Selection& part, disks::BlockDevice& target,
                             const ComparisonOptions& options) {
    const auto places = TRY(places_of_sample(manifest, part, options.data_chunks));
    Sample sample;
    sample.places = places.size();
    auto quiet = options;
    quiet.progress = {};
    Readers readers(
        target, part.disk->disk, quiet,
        [at = places.begin(), end = places.end()]() mutable -> Result<std::optional<Place>> {
            return at == end ? std::optional<Place>() : std::optional(*at++);
        },
        [&](std::uint64_t, bool equal) { sample.equal += equal; });
    TRY(readers.run());
    return sample;
}

Result<std::vector<bool>> compare_target(const ManifestBytes& manifest, const Selection& part,
                                         disks::BlockDevice& target, const ComparisonOptions& options) {
    std::vector<bool> equal(part.end_chunk() - part.first_chunk());
    DataWalk walk(manifest, part);
    Readers readers(
        target, part.disk->disk, options, [&] { return walk.next(); },
        [&](std::uint64_t chunk, bool right) { equal[chunk - part.first_chunk()] = right; });
    TRY(readers.run());
    return equal;
}

}  // namespace slipway::imagestore
