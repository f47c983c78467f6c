// SPDX-License-Identifier: GPL-3.0-or-later
// A target whose memory, the page cache, says other than its medium: only the medium counts.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "imagestore/capture.hpp"
#include "imagestore/deploy.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/store.hpp"
#include "lib/disks/test/mounts.hpp"

using namespace slipway;
using namespace slipway::imagestore;
using namespace slipway::disks::test;
using disks::FaultLayer;
using disks::FileDisk;
using disks::OpenMode;

namespace {

constexpr std::uint64_t kMiB = 1u << 20, kSize = 12 * kMiB;

Bytes random_bytes(std::size_t size) {
    Bytes out(size);
    std::mt19937 random(11);
    for (auto& b : out) b = static_cast<std::byte>(random());
    return out;
}

// A store with one image, and a loop device over medium() to lay it down on.
struct Bench {
    TempDir dir = TempDir::create("medium").value();
    disks::MemoryDisk source{random_bytes(kSize)};
    std::unique_ptr<Store> store;
    std::optional<SmallTmpfs> tmpfs;
    std::optional<LoopDevice> loop;

    explicit Bench(std::uint64_t room) : tmpfs(SmallTmpfs::mount(dir / "small", room)), loop(attach()) {
        StoreOptions options;
        options.create = true;
        store = Store::open(dir / "store", options).value();
        EXPECT_TRUE(capture(*store).ok());
    }
    std::optional<LoopDevice> attach() const {
        if (!tmpfs) return std::nullopt;
        make_file(medium(), kSize);
        return LoopDevice::attach(medium());
    }
    Result<CaptureReport> capture(Store& into) {
        CaptureRequest r;
        r.name = "web";
        r.source = "test";
        r.disks.push_back({&source, {"sda", "", "", 0, 0, 0}, {}});
        r.all_sectors = true;
        auto writer = into.writer().value();
        return capture_disks(r, *writer);
    }
    std::filesystem::path medium() const { return dir / "small/disk"; }
    Bytes content() const {
        Bytes out(kSize);
        EXPECT_TRUE(FileDisk::open(medium(), OpenMode::ReadOnly).value()->read(0, out).ok());
        return out;
    }
    Result<DeployReport> deploy(disks::BlockDevice& target) {
        auto manifest = store->manifest(ImageRef::parse("web").value()).value();
        DeployRequest r;
        r.manifest = manifest.get();
        r.target = &target;
        r.verify = true;
        return deploy_disk(r, *store);
    }
};

}  // namespace

// Somebody holds the device open, so that the kernel forgets nothing between the two.
TEST(Medium, a_deploy_after_a_write_error_writes_what_is_right_in_memory_alone) {
    Bench bench(kSize / 2);
    if (!bench.loop) GTEST_SKIP() << "no loop device over a tmpfs can be had here";
    auto reader = FileDisk::open(bench.loop->path(), OpenMode::ReadOnly).value();
    {
        auto target = FileDisk::open(bench.loop->path(), OpenMode::ReadWrite).value();
        EXPECT_FALSE(bench.deploy(*target).ok());
    }
    bench.tmpfs->resize(2 * kSize);
    auto target = FileDisk::open(bench.loop->path(), OpenMode::ReadWrite).value();
    auto report = bench.deploy(*target);
    ASSERT_TRUE(report.ok()) << report.error().describe();
    EXPECT_TRUE(bench.content() == bench.source.content());
    EXPECT_GT(report->kept_chunks, 0u);  // what did arrive is not sent again
    EXPECT_LT(report->kept_chunks, 8u);
    EXPECT_EQ(report->verified_bytes, kSize);
    EXPECT_TRUE(report->verified_on_medium);
    // And again: nothing is left to write but the first chunk, which the mark had replaced.
    auto again = bench.deploy(*target);
    ASSERT_TRUE(again.ok()) << again.error().describe();
    EXPECT_EQ(again->kept_chunks, kSize / kMiB);
}

TEST(Medium, verify_finds_a_pack_that_is_right_in_memory_alone) {
    Bench bench(kMiB);
    const auto medium = bench.dir / "medium";
    make_file(medium, 64 * kMiB);
    disks::test::run({"mke2fs", "-q", "-t", "ext4", "-F", medium.string()});
    auto mount = LoopMount::mount(medium, bench.dir / "mnt");
    if (!mount) GTEST_SKIP() << "no image can be mounted here";
    StoreOptions options;
    options.create = true;
    auto store = Store::open(mount->path() / "store", options).value();
    EXPECT_TRUE(bench.capture(*store).ok());
    EXPECT_TRUE(store->verify()->ok());
    // Random bytes are stored as they are.
    auto disk = FileDisk::open(medium, OpenMode::ReadWrite).value();
    Bytes all(disk->size());
    ASSERT_TRUE(disk->read(0, all).ok());
    const auto& wanted = bench.source.content();
    auto place =
        std::search(all.begin(), all.end(), wanted.begin() + 5 * kMiB + 8192, wanted.begin() + 5 * kMiB + 12288);
    ASSERT_NE(place, all.end());
    ASSERT_TRUE(disk->write(static_cast<std::uint64_t>(place - all.begin()), as_bytes("spoiled")).ok());
    auto report = store->verify();
    ASSERT_TRUE(report.ok());
    EXPECT_FALSE(report->ok());
}

TEST(Medium, a_disk_that_keeps_other_bytes_than_it_was_given_is_not_verified) {
    Bench bench(2 * kSize);
    if (!bench.loop) GTEST_SKIP() << "no loop device over a tmpfs can be had here";
    auto device = FileDisk::open(bench.loop->path(), OpenMode::ReadWrite).value();
    auto medium = FileDisk::open(bench.medium(), OpenMode::ReadWrite).value();
    const ByteView fifth = ByteView(bench.source.content()).subspan(5 * kMiB, kMiB);
    bool spoiled = false;
    // As soon as the fifth MiB has arrived.
    FaultLayer target(*device, [&](FaultLayer::Op op, std::uint64_t, std::uint64_t) -> Status {
        if (op != FaultLayer::Op::Flush || spoiled) return {};
        Bytes there(kMiB);
        TRY(medium->read(5 * kMiB, there));
        spoiled = std::ranges::equal(there, fifth);
        return spoiled ? medium->write(5 * kMiB + 8192, as_bytes("spoiled")) : Status();
    });
    auto report = bench.deploy(target);
    ASSERT_TRUE(spoiled);
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(imagestore::errors::kVerifyFailed)) << report.error().describe();
}
