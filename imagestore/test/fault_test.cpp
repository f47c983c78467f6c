// SPDX-License-Identifier: GPL-3.0-or-later
// The N-th operation fails, or the power goes after it, for every N of a small capture and deploy.
#include <gtest/gtest.h>

#include <random>

#include "imagestore/capture.hpp"
#include "imagestore/deploy.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/store.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/disks/errors.hpp"

using namespace slipway;
using namespace slipway::imagestore;
using disks::FaultLayer;

namespace {

constexpr std::uint64_t kMiB = 1u << 20;

// A disk without a table: data, a run of zeros in its middle, and a last chunk that is short.
disks::MemoryDisk make_disk() {
    Bytes content(7 * kMiB + 4096);
    std::mt19937 random(3);
    for (auto& b : content) b = static_cast<std::byte>(random());
    std::fill_n(content.begin() + 2 * kMiB, 2 * kMiB, std::byte{0});
    return disks::MemoryDisk(std::move(content));
}

struct Bench {
    TempDir dir = TempDir::create("fault").value();
    std::unique_ptr<Store> store;
    disks::MemoryDisk source = make_disk();

    Bench() {
        StoreOptions options;
        options.create = true;
        store = Store::open(dir / "store", options).value();
    }
    Result<CaptureReport> capture(disks::BlockDevice& device, ChunkSink* sink = nullptr) {
        CaptureRequest r;
        r.name = "web";
        r.source = "test";
        r.disks.push_back({&device, {"sda", "", "", 0, 0, 0}, {}});
        r.all_sectors = true;
        r.threads = 1;
        auto writer = store->writer().value();
        return capture_disks(r, sink ? *sink : *writer);
    }
    Result<DeployReport> deploy(disks::BlockDevice& target) {
        auto manifest = store->manifest(ImageRef::parse("web").value()).value();
        DeployRequest r;
        r.manifest = manifest.get();
        r.target = &target;
        r.verify = true;
        r.threads = 1;
        return deploy_disk(r, *store);
    }
};

// What a disk keeps when the power goes: what was flushed, and of the rest none. After `cut_after` operations nothing
// reaches it any more.
class VolatileDisk final : public disks::BlockDevice {
public:
    VolatileDisk(std::uint64_t size, int cut_after) : durable_(size), cache_(size), left_(cut_after) {
        // What was on the disk before.
        std::fill(durable_.begin(), durable_.end(), std::byte{0x55});
        cache_ = durable_;
    }
    std::uint64_t size() const override { return cache_.size(); }
    bool writable() const override { return true; }
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override {
        TRY(check_range(offset, buffer.size()));
        std::copy_n(cache_.begin() + static_cast<std::ptrdiff_t>(offset), buffer.size(), buffer.begin());
        return {};
    }
    Status write(std::uint64_t offset, ByteView data) override {
        TRY(check_range(offset, data.size()));
        TRY(one_more());
        std::copy(data.begin(), data.end(), cache_.begin() + static_cast<std::ptrdiff_t>(offset));
        return {};
    }
    Result<bool> discard(std::uint64_t offset, std::uint64_t length) override {
        TRY(one_more());
        std::fill_n(cache_.begin() + static_cast<std::ptrdiff_t>(offset), length, std::byte{0});
        return true;
    }
    Status flush() override {
        TRY(one_more());
        durable_ = cache_;
        return {};
    }
    // The disk as it is found when the power is back.
    disks::MemoryDisk after_power() const { return disks::MemoryDisk(durable_); }
    // The worst of another kind: everything but the flushes was on its way, and arrived.
    disks::MemoryDisk as_written() const { return disks::MemoryDisk(cache_); }
    bool was_cut() const { return cut_; }

private:
    Status one_more() {
        if (left_-- > 0) return {};
        left_ = 0;
        cut_ = true;
        return make_error(disks::errors::kWrite, "the power went (made by the test)");
    }
    Bytes durable_, cache_;
    int left_;
    bool cut_ = false;
};

}  // namespace

TEST(Faults, whatever_reached_the_target_when_the_power_went_it_looks_unfinished_or_is_right) {
    Bench bench;
    ASSERT_TRUE(bench.capture(bench.source).ok());
    int whole = 0;
    for (int n = 0; whole < 2; ++n) {
        ASSERT_LT(n, 200) << "the deploy never ended";
        VolatileDisk target(bench.source.size(), n);
        auto deployed = bench.deploy(target);
        ASSERT_EQ(deployed.ok(), !target.was_cut()) << n;
        if (deployed.ok()) ++whole;
        for (auto disk : {target.after_power(), target.as_written()}) {
            bool untouched = std::all_of(disk.content().begin(), disk.content().begin() + 512,
                                         [](std::byte b) { return b == std::byte{0x55}; });
            bool marked = as_text(ByteView(disk.content()).first(25)) == "SLIPWAY DEPLOY UNFINISHED";
            bool right = disk.content() == bench.source.content();
            ASSERT_TRUE(untouched || marked || right)
                << "after operation " << n << " it looks like a disk, and is none";
            auto again = bench.deploy(disk);
            ASSERT_TRUE(again.ok()) << n << ": " << again.error().describe();
            ASSERT_TRUE(disk.content() == bench.source.content()) << n;
        }
    }
}

TEST(Faults, a_read_that_fails_once_loses_nothing_whichever_it_is) {
    Bench bench;
    int total = 0;
    FaultLayer counting(bench.source, [&](FaultLayer::Op op, std::uint64_t, std::uint64_t) -> Status {
        if (op == FaultLayer::Op::Read) ++total;
        return {};
    });
    ASSERT_TRUE(bench.capture(counting).ok());
    int survived = 0;
    for (int n = 1; n <= total; ++n) {
        int count = 0;
        FaultLayer failing(bench.source, [&](FaultLayer::Op op, std::uint64_t, std::uint64_t) -> Status {
            if (op == FaultLayer::Op::Read && ++count == n) return make_error(disks::errors::kRead, "made by the test");
            return {};
        });
        auto report = bench.capture(failing);
        // The partition table cannot be done without; everything else is read again.
        if (!report.ok()) continue;
        ++survived;
        EXPECT_TRUE(report->losses.empty()) << n;
        disks::MemoryDisk target(bench.source.size());
        ASSERT_TRUE(bench.deploy(target).ok()) << n;
        ASSERT_TRUE(target.content() == bench.source.content()) << n;
    }
    EXPECT_GE(survived, 8) << "of " << total << " reads: the data's own were never made to fail";
}

TEST(Faults, a_sink_that_fails_at_its_nth_call_leaves_no_image_and_the_next_capture_goes_on) {
    class FailingSink final : public ChunkSink {
    public:
        FailingSink(ChunkSink& below, int at) : below_(below), left_(at) {}
        Result<std::vector<bool>> have(std::span<const ChunkId> ids) override {
            TRY(one_more());
            return below_.have(ids);
        }
        Status put(const ChunkId& id, ByteView encoded) override {
            TRY(one_more());
            return below_.put(id, encoded);
        }
        Status flush() override {
            TRY(one_more());
            return below_.flush();
        }
        Result<CommitResult> commit(std::string_view name, const ManifestBytes& manifest) override {
            TRY(one_more());
            return below_.commit(name, manifest);
        }

    private:
        Status one_more() {
            if (left_-- > 0) return {};
            return make_error(disks::errors::kWrite, "the store went away (made by the test)");
        }
        ChunkSink& below_;
        int left_;
    };
    for (int n = 0;; ++n) {
        ASSERT_LT(n, 100);
        Bench bench;
        bool done = false;
        {
            auto writer = bench.store->writer().value();
            FailingSink sink(*writer, n);
            done = bench.capture(bench.source, &sink).ok();
        }
        if (done) break;
        EXPECT_TRUE(bench.store->images()->empty()) << n;
        EXPECT_TRUE(bench.store->verify()->ok()) << n;
        auto again = bench.capture(bench.source);
        ASSERT_TRUE(again.ok()) << n << ": " << again.error().describe();
        disks::MemoryDisk target(bench.source.size());
        ASSERT_TRUE(bench.deploy(target).ok()) << n;
        ASSERT_TRUE(target.content() == bench.source.content()) << n;
    }
}
