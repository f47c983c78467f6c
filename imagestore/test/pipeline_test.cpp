// SPDX-License-Identifier: GPL-3.0-or-later
// Whole captures and deploys, on disks made by sfdisk and mke2fs, into a real store.
#include <gtest/gtest.h>

#include <random>

#include "imagestore/capture.hpp"
#include "imagestore/deploy.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/plan.hpp"
#include "imagestore/store.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/vhd/vhd.hpp"

using namespace slipway;
using namespace slipway::imagestore;

namespace {

constexpr std::uint64_t kMiB = 1u << 20;

std::string run(const std::vector<std::string>& argv, const std::string& input = {}) {
    CommandOptions options;
    options.input = input;
    auto r = run_command(argv, options);
    EXPECT_TRUE(r.ok() && r->ok()) << argv[0] << ": " << (r.ok() ? r->error_text + r->output : r.error().describe());
    return r.ok() ? r->output : "";
}

struct Bench {
    TempDir dir = TempDir::create("pipeline").value();
    std::unique_ptr<Store> store;
    std::uint64_t captures = 0;
    std::filesystem::path disk = dir / "source.img";

    Bench() {
        StoreOptions options;
        options.create = true;
        store = Store::open(dir / "store", options).value();
    }
    // 96 MiB: MBR, ext4 with a tree in it, swap, and junk in free blocks that must not be stored.
    void make_disk() {
        EXPECT_TRUE(disks::FileDisk::create(disk, 96 * kMiB).ok());
        run({"sfdisk", "-q", disk.string()},
            "label: dos\nstart=2048, size=64M, type=83, bootable\nsize=16M, type=82\n");
        auto tree = dir / "tree";
        std::filesystem::create_directories(tree / "d");
        std::mt19937 random(7);
        for (int i = 0; i < 12; ++i) {
            std::string text(static_cast<std::size_t>(i + 1) * 100'003, ' ');
            for (auto& c : text) c = static_cast<char>(random());
            EXPECT_TRUE(write_file_atomic(tree / "d" / std::to_string(i), as_bytes(text)).ok());
        }
        run({"mke2fs", "-q", "-t", "ext4", "-F", "-E", "offset=1048576", "-d", tree.string(), disk.string(), "64M"});
    }
    CaptureRequest request(disks::BlockDevice& device) {
        CaptureRequest r;
        r.name = "web";
        r.source = "test";
        r.created_ms = ++captures;  // what tells two captures of the same bytes apart
        r.disks = {{&device, {"sda", "S1", "", 0, 0, 0}}};
        return r;
    }
    Result<CaptureReport> capture(ChunkSink* sink = nullptr) {
        auto device = disks::FileDisk::open(disk, disks::OpenMode::ReadOnly).value();
        auto writer = store->writer().value();
        return capture_disks(request(*device), sink ? *sink : *writer);
    }
    Result<DeployReport> deploy(disks::BlockDevice& target, bool resume = false, bool blank = true) {
        auto manifest = store->manifest(ImageRef::parse("web").value()).value();
        DeployRequest r;
        r.manifest = manifest.get();
        r.target = &target;
        r.resume = resume;
        r.verify = true;
        r.target_is_blank = blank;
        return deploy_disk(r, *store);
    }
    void expect_same_tree(const std::filesystem::path& image) {
        auto part = dir / "part.img";
        run({"dd", "if=" + image.string(), "of=" + part.string(), "bs=1M", "skip=1", "count=64", "status=none"});
        run({"e2fsck", "-fn", part.string()});
        auto out = dir / "out";
        std::filesystem::remove_all(out);
        std::filesystem::create_directories(out);
        run({"debugfs", "-R", "rdump /d " + out.string(), part.string()});
        run({"diff", "-r", (dir / "tree/d").string(), (out / "d").string()});
    }
};

// A sink that loses what it is told to, as a gc with too short a grace would.
class ForgetfulSink final : public ChunkSink {
public:
    explicit ForgetfulSink(ChunkSink& below, int rounds) : below_(below), rounds_(rounds) {}
    Result<std::vector<bool>> have(std::span<const ChunkId> ids) override { return below_.have(ids); }
    Status put(const ChunkId& id, ByteView encoded) override {
        if (puts_++ % 5 == 0 && rounds_ > 0) return {};
        return below_.put(id, encoded);
    }
    Status flush() override { return below_.flush(); }
    Result<CommitResult> commit(std::string_view name, const ManifestBytes& manifest) override {
        --rounds_;
        return below_.commit(name, manifest);
    }

private:
    ChunkSink& below_;
    int rounds_;
    int puts_ = 0;
};

}  // namespace

TEST(Pipeline, a_disk_goes_through_the_store_into_raw_and_vhd) {
    Bench bench;
    bench.make_disk();
    auto report = bench.capture();
    ASSERT_TRUE(report.ok()) << report.error().describe();
    EXPECT_EQ(report->image, "web@1");
    EXPECT_EQ(report->volumes.size(), 2u);
    EXPECT_TRUE(report->losses.empty());

    auto raw = disks::FileDisk::create(bench.dir / "raw.img", 96 * kMiB).value();
    auto deployed = bench.deploy(*raw);
    ASSERT_TRUE(deployed.ok()) << deployed.error().describe();
    EXPECT_GT(deployed->verified_bytes, 8 * kMiB);
    bench.expect_same_tree(bench.dir / "raw.img");

    for (auto kind : {disks::VhdKind::Fixed, disks::VhdKind::Dynamic}) {
        auto path = bench.dir / (std::string(name_of(kind)) + ".vhd");
        {
            auto vhd = disks::create_vhd(path, kind, 96 * kMiB).value();
            ASSERT_TRUE(bench.deploy(*vhd).ok());
        }
        run({"qemu-img", "convert", "-f", "vpc", "-O", "raw", path.string(), (bench.dir / "back.img").string()});
        bench.expect_same_tree(bench.dir / "back.img");
    }
}

TEST(Pipeline, a_partition_inside_anothers_free_space_is_kept_whichever_comes_first) {
    for (bool inner_first : {false, true}) {
        Bench bench;
        bench.make_disk();
        auto device = disks::FileDisk::open(bench.disk, disks::OpenMode::ReadWrite).value();
        // Partition 2 of the table: one MiB near the end of partition 1, which its ext4 has free.
        const std::uint64_t inner = 60 * kMiB;
        Bytes content(kMiB, std::byte{0x5a});
        ASSERT_TRUE(device->write(inner, content).ok());
        ByteWriter entry;
        entry.le32(0).le32(0x83).le32(static_cast<std::uint32_t>(inner / 512)).le32(kMiB / 512);
        Bytes first(16);
        ASSERT_TRUE(device->read(446, first).ok());
        ASSERT_TRUE(device->write(inner_first ? 446 : 462, entry.view()).ok());
        ASSERT_TRUE(device->write(inner_first ? 462 : 446, first).ok());
        auto report = bench.capture();
        ASSERT_TRUE(report.ok()) << report.error().describe();
        EXPECT_TRUE(report->odd_table);
        auto raw = disks::FileDisk::create(bench.dir / "raw.img", 96 * kMiB).value();
        ASSERT_TRUE(bench.deploy(*raw).ok());
        Bytes back(kMiB);
        ASSERT_TRUE(raw->read(inner, back).ok());
        EXPECT_TRUE(back == content) << "the inner partition's bytes are gone";
        bench.expect_same_tree(bench.dir / "raw.img");
    }
}

TEST(Pipeline, a_second_capture_sends_only_what_changed) {
    Bench bench;
    bench.make_disk();
    ASSERT_TRUE(bench.capture().ok());
    auto again = bench.capture().value();
    EXPECT_EQ(again.sent_chunks, 0u);
    EXPECT_EQ(again.image, "web@2");
    run({"debugfs", "-w", "-R", "write " + (bench.dir / "tree/d/0").string() + " new",
         bench.disk.string() + "?offset=1048576"});
    auto changed = bench.capture().value();
    EXPECT_GT(changed.sent_chunks, 0u);
    EXPECT_LT(changed.sent_chunks, 12u);
}

TEST(Pipeline, an_excluded_partition_is_not_read_and_a_wrong_one_is_named) {
    Bench bench;
    bench.make_disk();
    auto device = disks::FileDisk::open(bench.disk, disks::OpenMode::ReadOnly).value();
    auto request = bench.request(*device);
    request.exclusions = {"sda1"};
    auto writer = bench.store->writer().value();
    auto report = capture_disks(request, *writer).value();
    EXPECT_EQ(report.bytes_read, 32 * kMiB);  // the gaps and the unformatted swap partition
    EXPECT_TRUE(report.volumes[0].volume.excluded);
    request.exclusions = {"sda9"};
    auto wrong = capture_disks(request, *writer);
    ASSERT_FALSE(wrong.ok());
    EXPECT_TRUE(wrong.error().is(errors::kNoPartition));
}

TEST(Pipeline, what_a_commit_misses_is_sent_again) {
    Bench bench;
    bench.make_disk();
    auto writer = bench.store->writer().value();
    ForgetfulSink sink(*writer, 2);
    auto report = bench.capture(&sink);
    ASSERT_TRUE(report.ok()) << report.error().describe();
    EXPECT_EQ(report->rounds, 2u);
    EXPECT_TRUE(bench.store->verify()->ok());
    ForgetfulSink never(*bench.store->writer().value(), 100);
    auto raw = disks::FileDisk::create(bench.dir / "raw.img", 96 * kMiB).value();
    ASSERT_TRUE(bench.deploy(*raw).ok());
    bench.expect_same_tree(bench.dir / "raw.img");
}

TEST(Pipeline, unreadable_sectors_are_losses_with_their_place_and_nothing_else_is_lost) {
    Bench bench;
    bench.make_disk();
    auto device = disks::FileDisk::open(bench.disk, disks::OpenMode::ReadOnly).value();
    // A place inside the first file's data: the first used byte after 30 MiB.
    const std::uint64_t bad = 8 * kMiB + 8192;
    disks::FaultLayer failing(*device,
                              [&](disks::FaultLayer::Op, std::uint64_t offset, std::uint64_t length) -> Status {
                                  if (offset <= bad && bad < offset + length)
                                      return make_error(disks::errors::kRead, "bad sector");
                                  return {};
                              });
    auto request = bench.request(failing);
    request.all_sectors = true;
    auto writer = bench.store->writer().value();
    auto report = capture_disks(request, *writer).value();
    ASSERT_EQ(report.losses.size(), 1u);
    EXPECT_EQ(report.losses[0].range.offset, bad);
    EXPECT_EQ(report.losses[0].range.length, 4096u);
}

TEST(Pipeline, a_deploy_goes_on_where_a_failing_target_stopped_it) {
    Bench bench;
    bench.make_disk();
    auto captured = bench.capture().value();
    auto raw = disks::FileDisk::create(bench.dir / "raw.img", 96 * kMiB).value();
    std::atomic<int> writes{0};
    disks::FaultLayer failing(*raw, [&](disks::FaultLayer::Op op, std::uint64_t, std::uint64_t) -> Status {
        if (op == disks::FaultLayer::Op::Write && ++writes > 6) return make_error(disks::errors::kWrite, "cut");
        return {};
    });
    ASSERT_FALSE(bench.deploy(failing).ok());
    // Not finished, so it does not look like a disk.
    Bytes first(512);
    ASSERT_TRUE(raw->read(0, first).ok());
    EXPECT_TRUE(as_text(first).starts_with("SLIPWAY DEPLOY UNFINISHED"));
    auto resumed = bench.deploy(*raw);
    ASSERT_TRUE(resumed.ok()) << resumed.error().describe();
    EXPECT_GE(resumed->kept_chunks, 4u);
    EXPECT_LT(resumed->written_chunks, captured.data_chunks);
    bench.expect_same_tree(bench.dir / "raw.img");
}

TEST(Pipeline, going_on_with_what_is_no_interrupted_deploy_is_refused_untouched) {
    Bench bench;
    bench.make_disk();
    ASSERT_TRUE(bench.capture().ok());
    disks::MemoryDisk other(Bytes(96 * kMiB, std::byte{0x77}));
    auto refused = bench.deploy(other, true);
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(refused.error().is(imagestore::errors::kNotUnfinished)) << refused.error().describe();
    EXPECT_TRUE(other.content() == Bytes(96 * kMiB, std::byte{0x77}));
    disks::MemoryDisk blank(96 * kMiB);
    EXPECT_TRUE(bench.deploy(blank, true).ok());
}

TEST(Pipeline, a_dirty_target_is_cleared_where_the_source_was_zero) {
    Bench bench;
    bench.make_disk();
    ASSERT_TRUE(bench.capture().ok());
    disks::MemoryDisk target(Bytes(96 * kMiB, std::byte{0xa5}));
    auto deployed = bench.deploy(target, false, false);
    ASSERT_TRUE(deployed.ok()) << deployed.error().describe();
    EXPECT_GT(deployed->cleared_bytes, 0u);
}

TEST(Pipeline, too_small_a_target_is_refused_untouched) {
    Bench bench;
    bench.make_disk();
    ASSERT_TRUE(bench.capture().ok());
    disks::MemoryDisk target(Bytes(95 * kMiB, std::byte{0xa5}));
    auto deployed = bench.deploy(target);
    ASSERT_FALSE(deployed.ok());
    EXPECT_TRUE(deployed.error().is(errors::kTargetTooSmall));
    EXPECT_EQ(target.content()[0], std::byte{0xa5});
}

TEST(Pipeline, growing_a_partition_with_another_right_behind_it_is_refused_untouched) {
    Bench bench;
    bench.make_disk();
    ASSERT_TRUE(bench.capture().ok());
    auto manifest = bench.store->manifest(ImageRef::parse("web").value()).value();
    disks::MemoryDisk target(Bytes(128 * kMiB, std::byte{0xa5}));
    DeployRequest request;
    request.manifest = manifest.get();
    request.target = &target;
    request.grow = 1;
    auto refused = deploy_disk(request, *bench.store);
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(refused.error().is(disks::errors::kNoRoom)) << refused.error().describe();
    EXPECT_EQ(refused.error().message(), "partition 2 lies right behind partition 1");
    EXPECT_TRUE(target.content() == Bytes(128 * kMiB, std::byte{0xa5}));
    request.grow = 2;
    auto grown = deploy_disk(request, *bench.store);
    ASSERT_TRUE(grown.ok()) << grown.error().describe();
    ASSERT_TRUE(grown->grown.has_value());
    EXPECT_EQ(grown->grown->offset + grown->grown->length, 128 * kMiB);
}

TEST(Pipeline, volumes_that_lie_on_two_disks_are_captured_together) {
    // A mirror of two disks, md 1.0: the content at the front, the superblock 8 KiB before the end; ext4 inside.
    Bench bench;
    auto fs = bench.dir / "fs";
    constexpr std::uint64_t kData = 48 * kMiB, kSize = 49 * kMiB;
    EXPECT_TRUE(disks::FileDisk::create(fs, kData).ok());
    std::filesystem::create_directories(bench.dir / "tree");
    EXPECT_TRUE(write_file_atomic(bench.dir / "tree/file", Bytes(3'000'000, std::byte{0x42})).ok());
    run({"mke2fs", "-q", "-t", "ext4", "-F", "-d", (bench.dir / "tree").string(), fs.string(), "48M"});
    Bytes content(kData);
    ASSERT_TRUE(disks::FileDisk::open(fs, disks::OpenMode::ReadOnly).value()->read(0, content).ok());
    std::vector<std::unique_ptr<disks::MemoryDisk>> members;
    for (unsigned role = 0; role < 2; ++role) {
        constexpr std::uint64_t kSuper = kSize - 8192;
        ByteWriter w;
        w.le32(0xa92b4efc).le32(1).le32(0).le32(0).text("0123456789abcdef").text("here:0").pad_to(64);
        w.le64(1).le32(1).le32(0).le64(kData / 512).le32(0).le32(2).pad_to(128);
        w.le64(0).le64(kSuper / 512).le64(kSuper / 512).le64(0).le32(role).pad_to(200);
        w.le64(7).le64(UINT64_MAX).le32(0).le32(2).pad_to(256).le16(0).le16(1);
        auto super = std::move(w).take();
        std::uint64_t sum = 0;
        for (ByteReader in(super); in.remaining() >= 4;) sum += in.le32();
        ByteWriter folded;
        folded.le32(static_cast<std::uint32_t>((sum & 0xffffffff) + (sum >> 32)));
        std::copy(folded.view().begin(), folded.view().end(), super.begin() + 216);
        members.push_back(std::make_unique<disks::MemoryDisk>(kSize));
        ASSERT_TRUE(members.back()->write(0, content).ok());
        ASSERT_TRUE(members.back()->write(kSuper, super).ok());
    }
    auto request = bench.request(*members[0]);
    auto alone = plan_disk(*members[0], {}).value();
    EXPECT_EQ(alone.used.total(), kSize) << "half a mirror is taken whole";
    request.disks.push_back({members[1].get(), {"sdb", "S2", "", 0, 0, 0}});
    CaptureReport report;
    {
        auto writer = bench.store->writer().value();
        report = capture_disks(request, *writer).value();
    }
    EXPECT_LT(report.bytes_read, 2 * 12 * kMiB);
    EXPECT_TRUE(report.warnings.empty()) << report.warnings[0];
    ASSERT_EQ(report.volumes.size(), 2u);
    EXPECT_EQ(report.volumes[1].volume.filesystem, "mdraid");
    EXPECT_EQ(report.volumes[1].volume.note, "md0 (ext4)");
    EXPECT_EQ(report.volumes[1].volume.state, VolumeState::Clean);
    EXPECT_GT(report.deduplicated_chunks, 0u) << "the second half of the mirror is stored once";
}

TEST(Pipeline, a_cancelled_capture_makes_no_image_and_keeps_what_it_sent) {
    Bench bench;
    bench.make_disk();
    auto device = disks::FileDisk::open(bench.disk, disks::OpenMode::ReadOnly).value();
    std::atomic<bool> cancel{false};
    auto request = bench.request(*device);
    request.all_sectors = true;
    disks::FaultLayer watch(*device, [&](disks::FaultLayer::Op, std::uint64_t offset, std::uint64_t length) -> Status {
        if (offset > 20 * kMiB && length == kMiB) cancel = true;
        return {};
    });
    request.disks[0].device = &watch;
    {
        auto writer = bench.store->writer().value();
        auto report = capture_disks(request, *writer, {}, &cancel);
        ASSERT_FALSE(report.ok());
        EXPECT_TRUE(report.error().is(errors::kCancelled));
    }
    EXPECT_TRUE(bench.store->images()->empty());
    EXPECT_GT(bench.store->size()->chunks, 0u);
}
