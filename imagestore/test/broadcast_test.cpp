// SPDX-License-Identifier: GPL-3.0-or-later
// Deploys that hear a broadcast before they ask.
#include "imagestore/broadcast.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>

#include "imagestore/capture.hpp"
#include "imagestore/deploy.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/store.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/disks/vhd/vhd.hpp"

namespace slipway::imagestore {
namespace {

constexpr std::uint64_t kMiB = 1u << 20;

// A bare disk of 12.5 MiB; MiB 7 is as MiB 3, MiB 5 is zero.
struct BroadcastDeploy : testing::Test {
    TempDir dir = TempDir::create("broadcast").value();
    std::filesystem::path source = dir / "source.img", target = dir / "target.img";
    Bytes content = Bytes(12 * kMiB + kMiB / 2);
    std::unique_ptr<Store> store;
    std::unique_ptr<ManifestBytes> manifest;
    int asked = 0;
    std::set<ChunkId> unreadable;

    void SetUp() override {
        std::mt19937 random(3);
        for (auto& b : content) b = static_cast<std::byte>(random());
        std::copy_n(content.begin() + 3 * kMiB, kMiB, content.begin() + 7 * kMiB);
        std::fill_n(content.begin() + 5 * kMiB, kMiB, std::byte{0});
        ASSERT_TRUE(write_file_atomic(source, content));
        StoreOptions options;
        options.create = true;
        store = Store::open(dir / "store", options).value();
        auto disk = disks::FileDisk::open(source, disks::OpenMode::ReadOnly).value();
        CaptureRequest request;
        request.name = "web";
        request.disks = {{disk.get(), {"sda", "S1", "", 0, 0, 0}}};
        ASSERT_TRUE(capture_disks(request, *store->writer().value()));
        manifest = store->manifest(ImageRef::parse("web").value()).value();
        ASSERT_TRUE(disks::FileDisk::create(target, content.size()));
    }
    struct Counting : ChunkSource {
        Store& store;
        int& asked;
        const std::set<ChunkId>& unreadable;
        Counting(Store& s, int& a, const std::set<ChunkId>& u) : store(s), asked(a), unreadable(u) {}
        Result<Bytes> get(const ChunkId& id) override {
            ++asked;
            if (unreadable.contains(id)) return make_error(errors::kBadChunk, "chunk {}", id.text());
            return store.get(id);
        }
    };
    Result<DeployReport> deploy(ChunkBroadcast& broadcast, bool resume = false) {
        auto disk = disks::FileDisk::open(target, disks::OpenMode::ReadWrite).value();
        Counting counting(*store, asked, unreadable);
        DeployRequest request;
        request.manifest = manifest.get();
        request.target = disk.get();
        request.resume = resume;
        request.verify = true;
        request.broadcast = &broadcast;
        return deploy_disk(request, counting);
    }
    bool equal() { return read_file(target, 64 * kMiB).value() == content; }
};

// Sends the store's chunks in an order of its own, and as `change` makes them.
struct Sends : ChunkBroadcast {
    Store& store;
    std::function<bool(std::uint32_t, Bytes&)> change;  // false: this one never comes
    std::vector<bool> wanted;
    int right = 0, wrong = 0;
    Sends(Store& s, std::function<bool(std::uint32_t, Bytes&)> c = {}) : store(s), change(std::move(c)) {}
    Status receive(const ChunkPlan& plan, std::vector<bool> w, const Take& take) override {
        wanted = w;
        std::vector<std::uint32_t> order(plan.size());
        for (std::uint32_t i = 0; i < order.size(); ++i) order[i] = i;
        std::shuffle(order.begin(), order.end(), std::mt19937(5));
        for (auto number : order) {
            auto encoded = store.get(plan.id(number)).value();
            if (change && !change(number, encoded)) continue;
            ++(TRY(take(number, encoded)) ? right : wrong);
        }
        return {};
    }
};

TEST_F(BroadcastDeploy, the_plan_names_each_chunk_once_in_the_order_of_the_disk) {
    auto plan = ChunkPlan::of(*manifest).value();
    ASSERT_EQ(plan.size(), 11u) << "13 chunks less the zero one and the one that is there twice";
    for (std::uint32_t n = 0; n < plan.size(); ++n) EXPECT_EQ(plan.find(plan.id(n)), n);
    EXPECT_EQ(plan.id(0), sha256(ByteView(content).first(kMiB)));
    EXPECT_EQ(plan.id(10), sha256(ByteView(content).subspan(12 * kMiB)));
    EXPECT_FALSE(plan.find(sha256(as_bytes("none"))));
}

TEST_F(BroadcastDeploy, all_comes_in_any_order_and_nothing_is_asked_for) {
    Sends all(*store);
    auto report = deploy(all);
    ASSERT_TRUE(report) << report.error().describe();
    EXPECT_TRUE(equal());
    EXPECT_EQ(asked, 0);
    EXPECT_EQ(report->broadcast_chunks, 12u);
    EXPECT_EQ(report->verified_bytes, content.size());
}

TEST_F(BroadcastDeploy, what_does_not_come_or_comes_wrong_is_asked_for) {
    Sends some(*store, [](std::uint32_t number, Bytes& encoded) {
        if (number == 2) encoded.back() ^= std::byte{1};
        return number != 0 && number != 10;
    });
    ASSERT_TRUE(deploy(some));
    EXPECT_TRUE(equal());
    EXPECT_EQ(some.wrong, 1);
    EXPECT_EQ(asked, 3);
}

TEST_F(BroadcastDeploy, a_resumed_one_wants_only_what_is_not_there) {
    Sends none(*store, [](std::uint32_t, Bytes&) { return false; });
    ASSERT_TRUE(deploy(none));
    {
        auto disk = disks::FileDisk::open(target, disks::OpenMode::ReadWrite).value();
        ASSERT_TRUE(disk->write(3 * kMiB + 5, as_bytes("x")));
        ASSERT_TRUE(disk->write(9 * kMiB, as_bytes("yy")));
    }
    Sends rest(*store);
    asked = 0;
    auto report = deploy(rest, true).value();
    EXPECT_EQ(std::count(rest.wanted.begin(), rest.wanted.end(), true), 2);
    EXPECT_EQ(report.kept_chunks, 10u);
    EXPECT_EQ(asked, 0);
    EXPECT_TRUE(equal());
}

TEST_F(BroadcastDeploy, an_unfinished_one_does_not_look_finished) {
    struct Dies : Sends {
        using Sends::Sends;
        Status receive(const ChunkPlan& plan, std::vector<bool> w, const Take& take) override {
            TRY(Sends::receive(plan, std::move(w), take));
            return make_error(errors::kCancelled, "the plug was pulled");
        }
    } dies(*store);
    EXPECT_TRUE(deploy(dies).error().is(errors::kCancelled));
    EXPECT_EQ(as_text(ByteView(read_file(target, 64 * kMiB).value()).first(15)), "SLIPWAY DEPLOY ");
    Sends again(*store);
    asked = 0;
    auto report = deploy(again).value();
    EXPECT_EQ(report.kept_chunks, 11u) << "the marker is in place of the first";
    EXPECT_TRUE(equal());
}

TEST_F(BroadcastDeploy, a_chunk_that_cannot_be_read_is_named_and_nothing_else_is_missing) {
    const auto plan = ChunkPlan::of(*manifest).value();
    unreadable = {plan.id(4)};
    Sends others(*store, [](std::uint32_t number, Bytes&) { return number != 4 && number != 9; });
    const auto failed = deploy(others);
    ASSERT_FALSE(failed);
    EXPECT_TRUE(failed.error().is(errors::kBadChunk));
    EXPECT_NE(failed.error().describe().find("one chunk of the image cannot be had (" + plan.id(4).text()),
              std::string::npos)
        << failed.error().describe();
    EXPECT_LE(asked, 4) << "the two that did not come, each of them once more";
    EXPECT_FALSE(equal());
    // The store is healed: the same again asks for that one.
    unreadable.clear();
    asked = 0;
    Sends nothing(*store, [](std::uint32_t, Bytes&) { return false; });
    const auto report = deploy(nothing);
    ASSERT_TRUE(report) << report.error().describe();
    EXPECT_TRUE(equal());
    EXPECT_LE(asked, 2) << "the bad one, and the first, which stands for the unfinished";
}

TEST_F(BroadcastDeploy, without_a_broadcast_as_well) {
    const auto plan = ChunkPlan::of(*manifest).value();
    unreadable = {plan.id(1), plan.id(10)};
    Sends nothing(*store, [](std::uint32_t, Bytes&) { return false; });
    const auto failed = deploy(nothing);
    ASSERT_FALSE(failed);
    EXPECT_NE(failed.error().describe().find("2 chunks of the image cannot be had"), std::string::npos);
    const auto there = read_file(target, 64 * kMiB).value();
    for (std::uint64_t mib = 2; mib < 12; ++mib)
        EXPECT_TRUE(std::equal(there.begin() + static_cast<std::ptrdiff_t>(mib * kMiB),
                               there.begin() + static_cast<std::ptrdiff_t>((mib + 1) * kMiB),
                               content.begin() + static_cast<std::ptrdiff_t>(mib * kMiB)))
            << mib;
}

}  // namespace
}  // namespace slipway::imagestore
