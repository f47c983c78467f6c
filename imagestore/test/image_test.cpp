// SPDX-License-Identifier: GPL-3.0-or-later
// An image read at random, compared with another, and kept while it is read.
#include <gtest/gtest.h>

#include <sys/resource.h>
#include <algorithm>
#include <random>
#include <thread>

#include "imagestore/deploy.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/image_diff.hpp"
#include "imagestore/image_disk.hpp"
#include "imagestore/open_image.hpp"
#include "imagestore/store.hpp"
#include "imagestore/test/samples.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/disks/errors.hpp"

using namespace slipway;
using namespace slipway::imagestore;
using namespace slipway::imagestore::samples;

namespace {

constexpr std::uint64_t kMiB = 1u << 20;

// What a chunk holds: 0 unused, 1 zero, else data of that seed.
using Content = std::vector<unsigned>;

struct TestDisk {
    Content chunks;
    std::uint64_t cut = 0;  // bytes that the last chunk is short of
    std::string serial = "S1";
    std::vector<VolumeInfo> volumes;
    std::vector<PartitionInfo> partitions;
    std::vector<LossInfo> losses;
};

VolumeInfo volume(std::uint32_t partition, std::uint64_t offset, std::uint64_t length) {
    VolumeInfo out;
    out.partition = partition;
    out.offset = offset;
    out.length = length;
    out.filesystem = "ext4";
    return out;
}

Bytes chunk_of(const TestDisk& disk, std::size_t i) {
    return sample_chunk(disk.chunks[i], kChunkBytes - (i + 1 == disk.chunks.size() ? disk.cut : 0));
}

Bytes manifest_of(const std::vector<TestDisk>& disks) {
    MemoryManifest out;
    ManifestWriter writer(out);
    EXPECT_TRUE(writer.image({1'000'000'000'000, false, static_cast<std::uint32_t>(disks.size()), "m", "test"}).ok());
    for (std::uint32_t n = 0; n < disks.size(); ++n) {
        const auto& disk = disks[n];
        DiskInfo info;
        info.index = n;
        info.size = disk.chunks.size() * kChunkBytes - disk.cut;
        info.table = TableKind::Mbr;
        info.serial = disk.serial;
        EXPECT_TRUE(writer.disk(info).ok());
        for (const auto& p : disk.partitions) EXPECT_TRUE(writer.partition(p).ok());
        for (const auto& v : disk.volumes) EXPECT_TRUE(writer.volume(v).ok());
        for (std::size_t i = 0; i < disk.chunks.size(); ++i) {
            auto seed = disk.chunks[i];
            if (seed > 1) EXPECT_TRUE(writer.data(sha256(chunk_of(disk, i))).ok());
            else EXPECT_TRUE(writer.run(seed ? RunKind::Zero : RunKind::Unused, 1).ok());
        }
        for (const auto& l : disk.losses) EXPECT_TRUE(writer.loss(l).ok());
        EXPECT_TRUE(writer.end_disk().ok());
    }
    EXPECT_TRUE(writer.finish().ok());
    return out.bytes();
}

struct Place {
    TempDir dir = TempDir::create("image").value();
    std::unique_ptr<Store> store;
    Place() {
        StoreOptions options;
        options.create = true;
        store = Store::open(dir / "s", options).value();
    }
    void add(const std::vector<TestDisk>& disks, const std::string& name = "web") {
        auto writer = store->writer().value();
        for (const auto& disk : disks)
            for (std::size_t i = 0; i < disk.chunks.size(); ++i)
                if (disk.chunks[i] > 1) {
                    auto chunk = chunk_of(disk, i);
                    ASSERT_TRUE(writer->put(sha256(chunk), encoded(chunk)).ok());
                }
        auto manifest = manifest_of(disks);
        auto done = writer->commit(name, ManifestView(manifest));
        ASSERT_TRUE(done.ok() && done->missing.empty());
    }
    std::unique_ptr<StoredManifest> open(const std::string& name = "web") {
        return store->manifest(ImageRef::parse(name).value()).value();
    }
};

Content random_content(std::mt19937& random, std::size_t chunks) {
    Content out;
    while (out.size() < chunks)
        out.insert(out.end(), random() % 4 + 1, random() % 3 == 0 ? random() % 2 : random() % 50);
    out.resize(chunks);
    return out;
}

// Counts what is asked of the store.
class CountingSource final : public ChunkSource {
public:
    explicit CountingSource(ChunkSource& below) : below_(below) {}
    Result<Bytes> get(const ChunkId& id) override {
        ++gets;
        return below_.get(id);
    }
    std::atomic<int> gets{0};

private:
    ChunkSource& below_;
};

}  // namespace

TEST(ImageDisk, reads_at_any_offset_what_a_deploy_lays_down) {
    Place place;
    std::mt19937 random(11);
    std::vector<TestDisk> disks(2);
    disks[0].chunks = random_content(random, 24);
    disks[1].chunks = random_content(random, 9);
    disks[1].chunks.back() = 7;
    disks[1].cut = 700'000 / 512 * 512;
    place.add(disks);
    auto manifest = place.open();
    auto map = ImageMap::create(*manifest).value();
    ChunkCache cache(*place.store, 3);
    for (std::uint32_t n = 0; n < 2; ++n) {
        auto disk = ImageDisk::create(map, n, cache).value();
        disks::MemoryDisk target(disk->size());
        DeployRequest request;
        request.manifest = manifest.get();
        request.disk = n;
        request.target = &target;
        ASSERT_TRUE(deploy_disk(request, *place.store).ok());
        std::vector<std::jthread> readers;
        std::atomic<int> wrong{0};
        for (unsigned t = 0; t < 4; ++t)
            readers.emplace_back([&, t] {
                std::mt19937 mine(t);
                for (int i = 0; i < 60; ++i) {
                    auto offset = mine() % disk->size();
                    Bytes got(std::min<std::uint64_t>(mine() % (3 * kMiB), disk->size() - offset));
                    auto at = target.content().begin() + static_cast<std::ptrdiff_t>(offset);
                    if (!disk->read(offset, got).ok() || !std::equal(got.begin(), got.end(), at)) ++wrong;
                }
            });
        readers.clear();
        EXPECT_EQ(wrong, 0);
        Bytes over(2);
        auto past = disk->read(disk->size() - 1, over);
        ASSERT_FALSE(past.ok());
        EXPECT_TRUE(past.error().is(disks::errors::kRange));
        EXPECT_FALSE(disk->write(0, over).ok());
    }
    auto none = ImageDisk::create(map, 2, cache);
    ASSERT_FALSE(none.ok());
    EXPECT_TRUE(none.error().is(errors::kNoDisk));
}

TEST(ImageDisk, small_reads_of_one_chunk_decode_it_once) {
    Place place;
    place.add({{.chunks = {5, 6, 5}}});
    auto manifest = place.open();
    auto map = ImageMap::create(*manifest).value();
    CountingSource source(*place.store);
    ChunkCache cache(source, 4);
    auto disk = ImageDisk::create(map, 0, cache).value();
    Bytes piece(4096);
    for (std::uint64_t at = 0; at < kMiB; at += piece.size()) ASSERT_TRUE(disk->read(at, piece).ok());
    EXPECT_EQ(source.gets, 1);
    for (std::uint64_t at = 2 * kMiB; at < 3 * kMiB; at += piece.size()) ASSERT_TRUE(disk->read(at, piece).ok());
    EXPECT_EQ(source.gets, 1);  // the same content, so the same chunk
}

TEST(ImageDisk, a_damaged_chunk_is_an_error_each_time_and_its_neighbours_are_well) {
    Place place;
    TestDisk disk{.chunks = {5, 6, 7}};
    auto writer = place.store->writer(WriterOptions{.check_chunks = false}).value();
    for (std::size_t i = 0; i < 3; ++i)
        ASSERT_TRUE(writer->put(sha256(chunk_of(disk, i)), encoded(sample_chunk(i == 1 ? 99 : 5 + unsigned(i)))).ok());
    auto bytes = manifest_of({disk});
    ASSERT_TRUE(writer->commit("web", ManifestView(bytes)).ok());
    auto manifest = place.open();
    auto map = ImageMap::create(*manifest).value();
    ChunkCache cache(*place.store, 2);
    auto device = ImageDisk::create(map, 0, cache).value();
    Bytes piece(512);
    for (int again = 0; again < 2; ++again) {
        auto bad = device->read(kMiB + 512, piece);
        ASSERT_FALSE(bad.ok());
        EXPECT_TRUE(bad.error().is(errors::kBadChunk));
        EXPECT_TRUE(device->read(0, piece).ok());
        EXPECT_TRUE(device->read(2 * kMiB, piece).ok());
    }
}

TEST(ImageDisk, a_chunk_shorter_than_its_place_is_refused) {
    Place place;
    TestDisk shorter{.chunks = {5}, .cut = 512};
    place.add({shorter}, "small");
    // A manifest that puts the short chunk where a whole one belongs.
    MemoryManifest out;
    ManifestWriter writer(out);
    DiskInfo info;
    info.size = 2 * kMiB;
    ASSERT_TRUE(writer.image({0, false, 1, "", ""}).ok() && writer.disk(info).ok() &&
                writer.data(sha256(chunk_of(shorter, 0))).ok() && writer.run(RunKind::Zero, 1).ok() &&
                writer.end_disk().ok() && writer.finish().ok());
    ManifestView view(out.bytes());
    auto map = ImageMap::create(view).value();
    ChunkCache cache(*place.store, 2);
    auto disk = ImageDisk::create(map, 0, cache).value();
    Bytes piece(512);
    auto read = disk->read(0, piece);
    ASSERT_FALSE(read.ok());
    EXPECT_TRUE(read.error().is(errors::kBadManifest));
}

// After it was checked, the manifest of an open image turns hostile: any byte of it.
TEST(ImageMap, a_manifest_that_changes_under_it_gives_errors_or_runs_that_fit) {
    auto bytes = manifest_of({{.chunks = {5, 6, 0, 0, 1, 7, 1, 1}}});
    ManifestView view(bytes);
    auto map = ImageMap::create(view).value();
    for (std::size_t n = 0; n < bytes.size(); ++n)
        for (auto flip : {0x01, 0x80, 0xff}) {
            bytes[n] ^= static_cast<std::byte>(flip);
            for (std::uint64_t chunk = 0; chunk < 8; ++chunk) {
                auto cursor = map.from(0, chunk);
                for (auto run = cursor.next(); run.ok() && *run; run = cursor.next())
                    ASSERT_LE((*run)->first + (*run)->count, 8u);
            }
            bytes[n] ^= static_cast<std::byte>(flip);
        }
}

TEST(ImageMap, finds_any_chunk_of_a_large_manifest_with_little_memory) {
    // 200'000 data chunks: 6.4 MB of ids, so a hundred marks.
    MemoryManifest out;
    ManifestWriter writer(out);
    constexpr std::uint64_t kChunks = 200'000;
    DiskInfo info;
    info.size = kChunks * kChunkBytes;
    ASSERT_TRUE(writer.image({0, false, 1, "", ""}).ok() && writer.disk(info).ok());
    auto id_of = [](std::uint64_t n) {
        ChunkId id;
        for (std::size_t i = 0; i < 8; ++i) id.octets[i] = static_cast<std::byte>(n >> 8 * i);
        return id;
    };
    for (std::uint64_t n = 0; n < kChunks; ++n) ASSERT_TRUE(writer.data(id_of(n)).ok());
    ASSERT_TRUE(writer.end_disk().ok() && writer.finish().ok());

    // Counts what is read of the manifest.
    class Counting final : public ManifestBytes {
    public:
        explicit Counting(ByteView bytes) : below_(bytes) {}
        std::uint64_t size() const override { return below_.size(); }
        Status read(std::uint64_t offset, std::span<std::byte> into) const override {
            read_bytes += into.size();
            return below_.read(offset, into);
        }
        mutable std::uint64_t read_bytes = 0;

    private:
        ManifestView below_;
    } bytes(out.bytes());
    auto map = ImageMap::create(bytes).value();
    std::mt19937 random(3);
    for (int i = 0; i < 300; ++i) {
        auto chunk = random() % kChunks;
        bytes.read_bytes = 0;
        auto run = map.from(0, chunk).next().value();
        ASSERT_TRUE(run);
        ASSERT_EQ(run->first, chunk);
        ASSERT_EQ(run->ids[0], id_of(chunk));
        ASSERT_LE(bytes.read_bytes, 2 * (kManifestRecordLimit + 8));
    }
    EXPECT_FALSE(map.from(0, kChunks).next().value());
}

TEST(ImageDiff, tells_exactly_what_changed_where) {
    TestDisk before{.chunks = {2, 3, 4, 5, 0, 0, 8, 1}};
    before.partitions = {{1, kMiB, 3 * kMiB, true, "83", "", ""}, {2, 4 * kMiB, 4 * kMiB, false, "83", "", ""}};
    before.volumes = {volume(1, kMiB, 3 * kMiB), volume(2, 4 * kMiB, 4 * kMiB)};
    auto after = before;
    after.chunks = {2, 30, 4, 0, 9, 10, 8, 0};  // 1 changed, 3 removed, 4 and 5 added, 7 zero as before
    auto a = manifest_of({before}), b = manifest_of({after});
    ManifestView left(a), right(b);
    auto diff = diff_images(ImageMap::create(left).value(), ImageMap::create(right).value()).value();
    ASSERT_EQ(diff.disks.size(), 1u);
    const auto& disk = diff.disks[0];
    EXPECT_EQ(disk.bytes.changed, 1 * kMiB);
    EXPECT_EQ(disk.bytes.removed, 1 * kMiB);
    EXPECT_EQ(disk.bytes.added, 2 * kMiB);
    EXPECT_EQ(disk.same_chunks, 3u);
    ASSERT_EQ(disk.volumes.size(), 2u);
    EXPECT_EQ(disk.volumes[0].bytes.changed, 1 * kMiB);
    EXPECT_EQ(disk.volumes[0].bytes.removed, 1 * kMiB);
    EXPECT_EQ(disk.volumes[0].bytes.added, 0u);
    EXPECT_EQ(disk.volumes[1].bytes.added, 2 * kMiB);
    EXPECT_EQ(disk.volumes[1].bytes.changed, 0u);
    EXPECT_TRUE(disk.table.empty());
    EXPECT_FALSE(diff.same());

    auto none = diff_images(ImageMap::create(left).value(), ImageMap::create(left).value()).value();
    EXPECT_TRUE(none.same());
    EXPECT_EQ(none.disks[0].same_chunks, 5u);
}

TEST(ImageDiff, counts_a_chunk_of_two_volumes_for_each_by_its_share_and_the_last_one_by_its_length) {
    TestDisk before{.chunks = {2, 3}, .cut = kMiB / 2};
    before.volumes = {volume(1, 0, kMiB / 4), volume(2, kMiB / 4, kMiB)};
    auto after = before;
    after.chunks = {20, 30};
    auto a = manifest_of({before}), b = manifest_of({after});
    ManifestView left(a), right(b);
    auto diff = diff_images(ImageMap::create(left).value(), ImageMap::create(right).value()).value();
    EXPECT_EQ(diff.disks[0].bytes.changed, kMiB + kMiB / 2);
    EXPECT_EQ(diff.disks[0].volumes[0].bytes.changed, kMiB / 4);
    EXPECT_EQ(diff.disks[0].volumes[1].bytes.changed, kMiB);
}

TEST(ImageDiff, pairs_disks_by_serial_and_names_those_of_one_side_and_tables_that_changed) {
    TestDisk system{.chunks = {2, 3}, .serial = "SYS"}, data{.chunks = {4, 5, 6}, .serial = "DATA"};
    TestDisk fresh{.chunks = {7}, .serial = "NEW"};
    system.partitions = {{1, 0, kMiB, true, "83", "", ""}};
    system.volumes = {volume(1, 0, kMiB)};
    auto grown = system;
    grown.chunks = {2, 3, 9};
    grown.partitions = {{1, 0, 2 * kMiB, true, "83", "", ""}, {2, 2 * kMiB, kMiB, false, "82", "", ""}};
    grown.volumes = {volume(1, 0, 2 * kMiB), volume(2, 2 * kMiB, kMiB)};
    auto a = manifest_of({system, data}), b = manifest_of({fresh, grown});
    ManifestView left(a), right(b);
    auto diff = diff_images(ImageMap::create(left).value(), ImageMap::create(right).value()).value();
    ASSERT_EQ(diff.disks.size(), 3u);
    EXPECT_EQ(diff.disks[0].presence, Presence::OnlyB);
    EXPECT_EQ(diff.disks[0].bytes.added, kMiB);
    EXPECT_EQ(diff.disks[1].presence, Presence::Both);
    EXPECT_EQ(diff.disks[1].old_size, 2 * kMiB);
    EXPECT_EQ(diff.disks[1].bytes.added, kMiB);
    EXPECT_EQ(diff.disks[1].bytes.changed, 0u);
    EXPECT_EQ(diff.disks[1].table.size(), 2u);  // partition 1 resized, 2 added
    EXPECT_TRUE(diff.disks[1].volumes[0].resized);
    EXPECT_EQ(diff.disks[1].volumes[1].presence, Presence::OnlyB);
    EXPECT_EQ(diff.disks[2].presence, Presence::OnlyA);
    EXPECT_EQ(diff.disks[2].disk.serial, "DATA");
    EXPECT_EQ(diff.disks[2].bytes.removed, 3 * kMiB);
}

TEST(Lease, what_is_read_stays_through_delete_and_gc_and_goes_when_nobody_reads) {
    Place place;
    place.add({{.chunks = {2, 3, 4}}});
    place.add({{.chunks = {50}}}, "db");
    GcOptions now;
    now.grace = std::chrono::seconds(-10);
    auto reader = Store::open(place.dir / "s").value();  // as another process would
    {
        auto manifest = reader->manifest(ImageRef::parse("web").value()).value();
        EXPECT_TRUE(manifest->leased());
        auto map = ImageMap::create(*manifest).value();
        ChunkCache cache(*reader, 1);
        auto disk = ImageDisk::create(map, 0, cache).value();
        ASSERT_TRUE(place.store->remove(ImageRef::parse("web").value()).ok());
        auto kept = place.store->gc(now, SystemClock()).value();
        EXPECT_EQ(kept.chunks_removed, 0u);
        EXPECT_EQ(kept.manifests_emptied, 0u);
        Bytes all(3 * kMiB);
        ASSERT_TRUE(disk->read(0, all).ok());
        EXPECT_EQ(sha256(ByteView(all).subspan(2 * kMiB)), sha256(sample_chunk(4)));
        // Deleted is deleted for everybody else.
        EXPECT_FALSE(place.store->manifest(ImageRef::parse("web").value()).ok());
    }
    auto freed = place.store->gc(now, SystemClock()).value();
    EXPECT_EQ(freed.chunks_removed, 3u);
    EXPECT_EQ(freed.manifests_emptied, 1u);
    EXPECT_TRUE(place.store->verify()->ok());
}

// gc moves live chunks of a pack that is mostly garbage into a new pack: the reader follows.
TEST(Lease, a_reader_finds_its_chunks_again_when_gc_rewrites_their_pack) {
    Place place;
    TestDisk large{.chunks = {60, 61, 62, 63, 64, 65, 66, 67}}, small{.chunks = {60, 61}};
    place.add({large}, "large");
    place.add({small}, "small");
    auto reader = Store::open(place.dir / "s").value();
    auto manifest = reader->manifest(ImageRef::parse("small").value()).value();
    auto map = ImageMap::create(*manifest).value();
    ChunkCache cache(*reader, 1);
    auto disk = ImageDisk::create(map, 0, cache).value();
    ASSERT_TRUE(place.store->remove(ImageRef::parse("large").value()).ok());
    ASSERT_TRUE(place.store->remove(ImageRef::parse("small").value()).ok());
    GcOptions now;
    now.grace = std::chrono::seconds(-10);
    auto report = place.store->gc(now, SystemClock()).value();
    EXPECT_EQ(report.packs_rewritten, 1u);
    EXPECT_EQ(report.chunks_removed, 6u);
    Bytes all(2 * kMiB);
    auto read = disk->read(0, all);
    ASSERT_TRUE(read.ok()) << read.error().describe();
    EXPECT_EQ(sha256(ByteView(all).first(kMiB)), sha256(sample_chunk(60)));
}

TEST(OpenImage, an_inner_volume_has_a_file_name_that_is_one_name_and_says_which_it_is) {
    EXPECT_EQ(file_name_of("vg0/root"), "vg0-root");
    EXPECT_EQ(file_name_of("vg-0/my-root"), "vg--0-my--root");
    EXPECT_NE(file_name_of("a-b/c"), file_name_of("a/b-c"));
    EXPECT_EQ(file_name_of("luks-11a9-e401"), "luks-11a9-e401");
    EXPECT_EQ(file_name_of("vg0/..")[0], 'v');
    for (const char* hostile : {"", ".", "..", "../../etc/passwd", ".hidden", "a\nb", "\x1b[2J"}) {
        auto name = file_name_of(hostile);
        EXPECT_FALSE(name.empty());
        EXPECT_NE(name[0], '.') << hostile;
        EXPECT_EQ(name.find_first_of("/\n\x1b"), std::string::npos) << hostile;
    }
    EXPECT_LE(file_name_of(std::string(5000, '-') + "/x").size(), 255u);
}
