// SPDX-License-Identifier: GPL-3.0-or-later
// Captures of a part, against a base and from a pipe; deploys of one volume. On disks in memory.
#include <gtest/gtest.h>

#include <thread>

#include <unistd.h>

#include "imagestore/capture.hpp"
#include "imagestore/deploy.hpp"
#include "imagestore/deploy_stream.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/selection.hpp"
#include "imagestore/store.hpp"
#include "imagestore/test/samples.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/disks/errors.hpp"

using namespace slipway;
using namespace slipway::imagestore;

namespace {

constexpr std::uint64_t kMiB = 1u << 20;

void put_record(Bytes& sector, std::size_t at, std::size_t slot, std::uint8_t type, std::uint32_t start,
                std::uint32_t count) {
    ByteWriter record;
    record.le32(0).u8(type).zeros(3).le32(start).le32(count);
    std::copy(record.view().begin(), record.view().end(),
              sector.begin() + static_cast<std::ptrdiff_t>(at + 0x1be + 16 * slot));
    sector[at + 510] = std::byte{0x55};
    sector[at + 511] = std::byte{0xaa};
}

// 12 MiB: MBR, partition 1 from 1.5 MiB with 4 MiB of content, logical 5 and 6 in a container from 6 MiB.
struct Parts {
    TempDir dir = TempDir::create("parts").value();
    std::unique_ptr<Store> store;
    disks::MemoryDisk disk{12 * kMiB};
    std::uint64_t captures = 0;

    Parts() {
        StoreOptions options;
        options.create = true;
        store = Store::open(dir / "store", options).value();
        auto& bytes = disk.content();
        put_record(bytes, 0, 0, 0x83, 3072, 8192);
        put_record(bytes, 0, 1, 0x05, 12288, 12288);
        put_record(bytes, 6 * kMiB, 0, 0x83, 2048, 2048);
        put_record(bytes, 6 * kMiB, 1, 0x05, 6144, 4096);
        put_record(bytes, 9 * kMiB, 0, 0x83, 2048, 2048);
        for (unsigned i = 0; i < 4; ++i) {
            auto content = samples::sample_chunk(i + 1);
            std::copy(content.begin(), content.end(),
                      bytes.begin() + static_cast<std::ptrdiff_t>(kMiB * 3 / 2 + i * kMiB));
        }
    }
    CaptureRequest request(const std::string& name = "web") {
        CaptureRequest r;
        r.name = name;
        r.created_ms = ++captures;
        r.disks = {{&disk, {"sda", "S1", "", 0, 0, 0}, std::nullopt}};
        return r;
    }
    Result<CaptureReport> capture(const CaptureRequest& r) { return capture_disks(r, *store->writer().value()); }
    std::unique_ptr<StoredManifest> manifest(const std::string& name) {
        return store->manifest(ImageRef::parse(name).value()).value();
    }
    Bytes part(std::uint64_t from, std::uint64_t length) const {
        const auto& all = const_cast<disks::MemoryDisk&>(disk).content();
        return {all.begin() + static_cast<std::ptrdiff_t>(from),
                all.begin() + static_cast<std::ptrdiff_t>(from + length)};
    }
};

// A pipe with a writer that gives these bytes.
struct Feed {
    int fds[2] = {-1, -1};
    std::jthread writer;
    explicit Feed(const Bytes& bytes) {
        EXPECT_EQ(::pipe(fds), 0);
        writer = std::jthread([this, &bytes] {
            (void)write_full(fds[1], bytes);
            ::close(fds[1]);
        });
    }
    ~Feed() { ::close(fds[0]); }
};

}  // namespace

TEST(Parts, against_a_base_only_what_changed_is_asked_for_and_told) {
    Parts p;
    ASSERT_TRUE(p.capture(p.request()).ok());
    p.disk.content()[3 * kMiB] ^= std::byte{1};
    auto base = p.manifest("web@1");
    auto request = p.request();
    request.base = base.get();
    request.base_name = "web@1";
    // The sink does not know what it is not asked for.
    struct Asked final : ChunkSink {
        explicit Asked(ChunkSink& sink) : below(sink) {}
        ChunkSink& below;
        std::size_t asked = 0;
        Result<std::vector<bool>> have(std::span<const ChunkId> ids) override {
            asked += ids.size();
            return below.have(ids);
        }
        Status put(const ChunkId& id, ByteView encoded) override { return below.put(id, encoded); }
        Status flush() override { return below.flush(); }
        Result<CommitResult> commit(std::string_view name, const ManifestBytes& m) override {
            return below.commit(name, m);
        }
    };
    auto writer = p.store->writer().value();
    Asked sink(*writer);
    auto report = capture_disks(request, sink).value();
    EXPECT_EQ(report.changed_chunks, 1u);
    EXPECT_EQ(report.changed_bytes, kMiB);
    EXPECT_EQ(report.base_chunks + 1, report.data_chunks);
    EXPECT_EQ(sink.asked, 1u);
    disks::MemoryDisk back(12 * kMiB);
    DeployRequest deploy;
    auto newest = p.manifest("web@2");
    deploy.manifest = newest.get();
    deploy.target = &back;
    ASSERT_TRUE(deploy_disk(deploy, *p.store).ok());
    EXPECT_EQ(back.content(), p.disk.content());
}

TEST(Parts, an_inconsistent_image_is_a_base_and_nothing_else) {
    Parts p;
    auto live = p.request();
    live.inconsistent = true;
    ASSERT_TRUE(p.capture(live).ok());
    auto base = p.manifest("web@1");
    disks::MemoryDisk back(12 * kMiB);
    DeployRequest deploy;
    deploy.manifest = base.get();
    deploy.target = &back;
    EXPECT_TRUE(deploy_disk(deploy, *p.store).error().is(errors::kInconsistent));
    EXPECT_TRUE(deploy_stream(deploy, *p.store, -1).error().is(errors::kInconsistent));
    auto rest = p.request();
    rest.base = base.get();
    EXPECT_EQ(p.capture(rest)->changed_chunks, 0u);
}

TEST(Parts, what_planned_refuses_sends_nothing) {
    Parts p;
    auto request = p.request();
    std::size_t volumes = 0;
    request.planned = [&](const CaptureReport& planned) -> Status {
        volumes = planned.volumes.size();
        return make_error(errors::kCancelled, "no");
    };
    EXPECT_FALSE(p.capture(request).ok());
    EXPECT_EQ(volumes, 3u);
    EXPECT_EQ(p.store->size()->chunks, 0u);
}

TEST(Parts, a_partition_is_an_image_of_its_own_and_shares_chunks_with_the_whole_disk) {
    Parts p;
    ASSERT_TRUE(p.capture(p.request()).ok());
    disks::OffsetLayer window(p.disk, 7 * kMiB, kMiB);  // partition 5
    ASSERT_TRUE(window.write(0, samples::sample_chunk(9)).ok());
    ASSERT_TRUE(p.capture(p.request()).ok());
    auto request = p.request("data");
    request.disks = {{&window, {"sda5", "", "", 0, 0, 0}, PartitionInfo{5, 7 * kMiB, kMiB, false, "83", "", ""}}};
    auto report = p.capture(request).value();
    EXPECT_EQ(report.sent_chunks, 0u);
    auto manifest = p.manifest("data");
    auto image = summarize(*manifest).value();
    EXPECT_EQ(image.disks[0].disk.table, TableKind::None);
    ASSERT_EQ(image.disks[0].partitions.size(), 1u);
    EXPECT_EQ(image.disks[0].partitions[0].number, 5u);
    EXPECT_EQ(image.disks[0].partitions[0].offset, 0u);
    disks::MemoryDisk back(kMiB);
    DeployRequest deploy;
    deploy.manifest = manifest.get();
    deploy.volume = 5;
    deploy.target = &back;
    ASSERT_TRUE(deploy_disk(deploy, *p.store).ok());
    EXPECT_EQ(back.content(), samples::sample_chunk(9));
}

TEST(Parts, a_volume_that_begins_inside_a_chunk_is_laid_down_resumed_and_verified) {
    Parts p;
    ASSERT_TRUE(p.capture(p.request()).ok());
    auto manifest = p.manifest("web");
    auto want = p.part(kMiB * 3 / 2, 4 * kMiB);
    for (int fail_at : {0, 2, 3, 4}) {  // of the writes; 0: none
        disks::MemoryDisk target(Bytes(5 * kMiB, std::byte{0xa5}));
        int writes = 0;
        disks::FaultLayer failing(target, [&](disks::FaultLayer::Op op, std::uint64_t, std::uint64_t) -> Status {
            if (op == disks::FaultLayer::Op::Write && ++writes == fail_at)
                return make_error(disks::errors::kWrite, "cut");
            return {};
        });
        DeployRequest deploy;
        deploy.manifest = manifest.get();
        deploy.volume = 1;
        deploy.target = &failing;
        deploy.verify = true;
        auto laid = deploy_disk(deploy, *p.store);
        EXPECT_EQ(laid.ok(), fail_at == 0);
        if (!laid) {
            EXPECT_TRUE(as_text(ByteView(target.content()).first(25)) == "SLIPWAY DEPLOY UNFINISHED") << fail_at;
            laid = deploy_disk(deploy, *p.store);
        }
        ASSERT_TRUE(laid.ok()) << laid.error().describe();
        EXPECT_EQ(Bytes(target.content().begin(), target.content().begin() + 4 * kMiB), want);
        EXPECT_EQ(target.content()[4 * kMiB], std::byte{0xa5});
    }
    DeployRequest deploy;
    deploy.manifest = manifest.get();
    deploy.volume = 4;
    deploy.target = &p.disk;
    EXPECT_TRUE(deploy_disk(deploy, *p.store).error().is(errors::kNoPartition));
}

TEST(Parts, a_disk_through_a_pipe_keeps_its_table_and_its_odd_end) {
    Parts p;
    p.disk.content().resize(12 * kMiB + 512 * 3, std::byte{7});
    Feed feed(p.disk.content());
    DiskIdentity identity;
    identity.name = "disk";
    auto report = capture_stream(p.request(), feed.fds[0], identity, *p.store->writer().value());
    ASSERT_TRUE(report.ok()) << report.error().describe();
    EXPECT_EQ(report->disk_bytes, 12 * kMiB + 512 * 3);
    auto manifest = p.manifest("web");
    auto image = summarize(*manifest).value();
    EXPECT_EQ(image.disks[0].disk.table, TableKind::Mbr);
    ASSERT_EQ(image.disks[0].partitions.size(), 3u);  // the logical ones too: their records went by
    EXPECT_EQ(image.disks[0].partitions[2].number, 6u);
    EXPECT_EQ(image.disks[0].partitions[2].offset, 10 * kMiB);
    disks::MemoryDisk back(p.disk.size());
    DeployRequest deploy;
    deploy.manifest = manifest.get();
    deploy.target = &back;
    ASSERT_TRUE(deploy_disk(deploy, *p.store).ok());
    EXPECT_EQ(back.content(), p.disk.content());

    Bytes none;
    Feed nothing(none);
    auto empty = capture_stream(p.request(), nothing.fds[0], identity, *p.store->writer().value());
    ASSERT_FALSE(empty.ok());
    EXPECT_TRUE(empty.error().is(errors::kEmptySource));
}

TEST(Parts, a_pipe_that_was_cut_makes_no_image_and_what_came_is_not_stored_twice) {
    Parts p;
    DiskIdentity identity;
    identity.name = "disk";
    auto send = [&](std::uint64_t bytes) {
        auto cut = p.part(0, bytes);
        Feed feed(cut);
        return capture_stream(p.request(), feed.fds[0], identity, *p.store->writer().value());
    };
    // In a partition, before the boot record of the last one, in that, and in the middle of a sector.
    const std::pair<std::uint64_t, const char*> cuts[] = {{5 * kMiB, "partition 1 ends behind them"},
                                                          {9 * kMiB, "the partition table goes on to 9437696"},
                                                          {10 * kMiB, "partition 6 ends behind them"},
                                                          {11 * kMiB + 100, "no whole sectors"}};
    for (const auto& [bytes, says] : cuts) {
        auto cut = send(bytes);
        ASSERT_FALSE(cut.ok()) << bytes;
        EXPECT_TRUE(cut.error().is(errors::kCutSource)) << cut.error().describe();
        EXPECT_NE(cut.error().message().find(says), std::string::npos) << cut.error().message();
        EXPECT_TRUE(p.store->images()->empty());
    }
    auto whole = send(12 * kMiB);
    ASSERT_TRUE(whole.ok()) << whole.error().describe();
    EXPECT_EQ(whole->sent_chunks, 0u) << "all of it came with the cut ones";
    EXPECT_EQ(p.store->images()->size(), 1u);
}

TEST(Parts, a_lost_range_is_told_with_the_volumes_it_hits) {
    VolumeInfo a, b;
    a.partition = 1;
    a.offset = kMiB;
    a.length = kMiB;
    b.offset = 2 * kMiB;
    b.partition = 2;
    b.length = kMiB;
    b.filesystem = "ext4";
    b.label = "root";
    EXPECT_EQ(describe_loss("sda", {a, b}, {2 * kMiB - 4096, 8192}),
              "8192 bytes at byte 2093056 of sda, in sda1 (unknown) and sda2 (ext4 'root')");
    EXPECT_EQ(describe_loss("nvme0n1", {a}, {0, 512}), "512 bytes at byte 0 of nvme0n1, outside all volumes");
}
