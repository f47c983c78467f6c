// SPDX-License-Identifier: GPL-3.0-or-later
// Deploys from a source that takes its time: what became of a chunk when the next one is asked for.
#include <gtest/gtest.h>

#include <condition_variable>
#include <map>

#include "imagestore/deploy.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/test/samples.hpp"
#include "lib/base/errors.hpp"
#include "lib/disks/block.hpp"

namespace slipway::imagestore {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;
constexpr std::size_t kChunks = 12;

// Whole chunks that were written, and how many of them when it was flushed last.
struct WatchedDisk final : disks::PassLayer {
    using PassLayer::PassLayer;
    Status write(std::uint64_t offset, ByteView data) override {
        TRY(below_.write(offset, data));
        std::lock_guard hold(mutex);
        written += offset >= kMiB && data.size() == kMiB;
        changed.notify_all();
        return {};
    }
    Status flush() override {
        TRY(below_.flush());
        std::lock_guard hold(mutex);
        durable = written;
        changed.notify_all();
        return {};
    }
    bool wait_for(const std::size_t& count, std::size_t least) {
        std::unique_lock hold(mutex);
        return changed.wait_for(hold, std::chrono::seconds(5), [&] { return count >= least; });
    }
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t written = 0, durable = 0;
};

struct Unicast : testing::Test, ChunkSource {
    std::map<ChunkId, Bytes> chunks;
    std::map<ChunkId, int> asked;
    std::vector<ChunkId> ids;
    std::function<Status(std::size_t n)> before;  // the n-th is given
    disks::MemoryDisk memory{(kChunks + 4) * kMiB};
    WatchedDisk disk{memory};
    Bytes manifest;

    void SetUp() override {
        for (unsigned n = 0; n < kChunks; ++n) {
            const auto chunk = samples::sample_chunk(n + 1);
            ids.push_back(sha256(chunk));
            chunks[ids.back()] = samples::encoded(chunk);
        }
        manifest = samples::sample_manifest(ids);
    }
    Result<Bytes> get(const ChunkId& id) override {
        std::size_t n = 0;
        for (const auto& [other, count] : asked) n += static_cast<std::size_t>(count);
        ++asked[id];
        if (before) TRY(before(n));
        if (!chunks.contains(id)) return make_error(errors::kBadChunk, "chunk {}", id.text());
        return chunks.at(id);
    }
    Result<DeployReport> deploy(std::chrono::milliseconds flush_every = std::chrono::hours(1)) {
        ManifestView view(manifest);
        DeployRequest request;
        request.manifest = &view;
        request.target = &disk;
        request.target_is_blank = true;
        request.flush_every = flush_every;
        return deploy_disk(request, *this);
    }
    bool right(std::size_t n) { return sha256(ByteView(memory.content()).subspan(n * kMiB, kMiB)) == ids[n]; }
};

TEST_F(Unicast, a_chunk_is_on_the_disk_before_the_next_one_of_its_batch_has_come) {
    bool late = false;
    // The first chunk of the disk is written last, so of n that came n - 1 can be there.
    before = [&](std::size_t n) -> Status {
        if (!late && n > 1) late = !disk.wait_for(disk.written, n - 1);
        return {};
    };
    ASSERT_TRUE(deploy().ok());
    EXPECT_FALSE(late);
    for (std::size_t n = 0; n < kChunks; ++n) EXPECT_TRUE(right(n)) << n;
}

TEST_F(Unicast, what_has_come_is_durable_while_the_rest_is_on_its_way) {
    bool late = false;
    before = [&](std::size_t n) -> Status {
        if (!late && n > 1) late = !disk.wait_for(disk.durable, n - 1);
        return {};
    };
    ASSERT_TRUE(deploy(std::chrono::milliseconds(0)).ok());
    EXPECT_FALSE(late);
}

TEST_F(Unicast, a_bad_chunk_within_a_batch_is_left_out_and_none_that_came_is_asked_for_again) {
    chunks.erase(ids[5]);
    const auto done = deploy();
    ASSERT_FALSE(done.ok());
    EXPECT_TRUE(done.error().is(errors::kBadChunk));
    for (std::size_t n = 1; n < kChunks; ++n) {
        EXPECT_EQ(right(n), n != 5) << n;
        EXPECT_EQ(asked[ids[n]], n == 5 ? 2 : 1) << n;
    }
}

TEST_F(Unicast, a_source_that_goes_away_leaves_what_came_and_the_mark) {
    before = [&](std::size_t n) -> Status {
        if (n == 7) return make_error(slipway::errors::kIo, "the line is cut");
        return {};
    };
    EXPECT_FALSE(deploy().ok());
    EXPECT_EQ(as_text(ByteView(memory.content()).first(25)), "SLIPWAY DEPLOY UNFINISHED");
    before = {};
    asked.clear();
    ASSERT_TRUE(deploy().ok());
    for (std::size_t n = 0; n < kChunks; ++n) EXPECT_TRUE(right(n)) << n;
}

}  // namespace
}  // namespace slipway::imagestore
