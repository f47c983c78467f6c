// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include <fstream>

#include "imagestore/codec.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/pack.hpp"
#include "imagestore/store.hpp"
#include "imagestore/test/samples.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/temp_dir.hpp"

using namespace slipway;
using namespace slipway::imagestore;
using namespace slipway::imagestore::samples;

namespace {

struct Place {
    TempDir dir = TempDir::create("store").value();
    std::unique_ptr<Store> open(StoreOptions options = {}) {
        options.create = true;
        auto store = Store::open(dir.path() / "s", options);
        EXPECT_TRUE(store.ok()) << (store.ok() ? "" : store.error().describe());
        return std::move(store).value();
    }
};

std::filesystem::path only_pack(const std::filesystem::path& store) {
    for (const auto& entry : std::filesystem::directory_iterator(store / "packs"))
        if (entry.path().extension() == ".pack") return entry.path();
    return {};
}

void flip_byte(const std::filesystem::path& path, std::uint64_t offset) {
    std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
    file.seekg(static_cast<std::streamoff>(offset));
    char c = 0;
    file.get(c);
    file.seekp(static_cast<std::streamoff>(offset));
    file.put(static_cast<char>(c ^ 0x40));
}

// The fault: operation number `at` fails with "no space", later ones work again unless `for_good`.
class FailingFiles final : public Files {
public:
    explicit FailingFiles(int at, bool for_good) : at_(at), for_good_(for_good) {}
    int operations() const { return count_; }
    Status make_directory(const std::filesystem::path& p) override {
        return guard([&] { return Files::make_directory(p); });
    }
    Status write(int fd, ByteView d, std::uint64_t o) override {
        return guard([&] { return Files::write(fd, d, o); });
    }
    Status sync(int fd) override {
        return guard([&] { return Files::sync(fd); });
    }
    Status sync_directory(const std::filesystem::path& p) override {
        return guard([&] { return Files::sync_directory(p); });
    }
    Status rename(const std::filesystem::path& a, const std::filesystem::path& b) override {
        return guard([&] { return Files::rename(a, b); });
    }
    Status publish(const std::filesystem::path& a, const std::filesystem::path& b) override {
        return guard([&] { return Files::publish(a, b); });
    }
    Status truncate(int fd, std::uint64_t n) override {
        return guard([&] { return Files::truncate(fd, n); });
    }

private:
    template <typename F>
    Status guard(F work) {
        ++count_;
        if (count_ == at_ || (for_good_ && count_ > at_))
            return make_error(slipway::errors::kNoSpace, "no space left (made by the test)");
        return work();
    }
    int at_, count_ = 0;
    bool for_good_;
};

Status store_sample(Store& store, unsigned seed, std::size_t chunks, const std::string& name = "web") {
    auto writer = TRY(store.writer());
    std::vector<ChunkId> ids;
    for (std::size_t i = 0; i < chunks; ++i) {
        auto chunk = sample_chunk(seed + static_cast<unsigned>(i));
        ids.push_back(sha256(chunk));
        TRY(writer->put(ids.back(), encoded(chunk)));
    }
    auto manifest = sample_manifest(ids);
    auto done = TRY(writer->commit(name, ManifestView(manifest)));
    if (!done.missing.empty())
        return make_error(imagestore::errors::kCommitIncomplete, "{} missing", done.missing.size());
    return {};
}

}  // namespace

TEST(Store, keeps_chunks_over_a_reopen_and_gives_versions_numbers) {
    Place place;
    {
        auto store = place.open();
        ASSERT_TRUE(store_sample(*store, 1, 3).ok());
        ASSERT_TRUE(store_sample(*store, 2, 3).ok());
    }
    auto store = place.open();
    auto images = store->images().value();
    ASSERT_EQ(images.size(), 2u);
    EXPECT_EQ(images[1].text(), "web@2");
    auto chunk = sample_chunk(4);
    Bytes plain;
    ChunkDecoder decoder;
    ASSERT_TRUE(decoder.decode(sha256(chunk), store->get(sha256(chunk)).value(), plain).ok());
    EXPECT_EQ(plain, chunk);
    auto verified = store->verify().value();
    EXPECT_TRUE(verified.ok());
    EXPECT_EQ(verified.chunks, 4u);  // 1..4: two of the three were known
}

TEST(Store, a_commit_whose_answer_was_lost_makes_no_second_version) {
    Place place;
    auto store = place.open();
    auto chunk = sample_chunk(1);
    auto manifest = sample_manifest({sha256(chunk)});
    auto writer = store->writer().value();
    ASSERT_TRUE(writer->put(sha256(chunk), encoded(chunk)).ok());
    EXPECT_EQ(writer->commit("web", ManifestView(manifest))->version, 1u);
    EXPECT_EQ(store->writer().value()->commit("web", ManifestView(manifest))->version, 1u);
    EXPECT_EQ(store->images()->size(), 1u);
}

TEST(Store, refuses_a_chunk_that_is_not_what_its_name_says) {
    Place place;
    auto store = place.open();
    auto writer = store->writer().value();
    auto put = writer->put(sha256(sample_chunk(1)), encoded(sample_chunk(2)));
    ASSERT_FALSE(put.ok());
    EXPECT_TRUE(put.error().is(imagestore::errors::kBadChunk));
}

TEST(Store, commit_names_the_missing_chunks_and_makes_no_image) {
    Place place;
    auto store = place.open();
    auto writer = store->writer().value();
    auto here = sample_chunk(1), gone = sample_chunk(2);
    ASSERT_TRUE(writer->put(sha256(here), encoded(here)).ok());
    auto manifest = sample_manifest({sha256(here), sha256(gone), sha256(gone)});
    auto done = writer->commit("web", ManifestView(manifest)).value();
    EXPECT_EQ(done.version, 0u);
    ASSERT_EQ(done.missing.size(), 1u);
    EXPECT_EQ(done.missing[0], sha256(gone));
    EXPECT_TRUE(store->images().value().empty());
}

TEST(Store, names_with_a_way_out_are_refused) {
    Place place;
    auto store = place.open();
    auto writer = store->writer().value();
    auto manifest = sample_manifest({});
    for (const char* name : {"", "..", "../x", "a/b", ".hidden", "a b", "-x", "\n"})
        EXPECT_FALSE(writer->commit(name, ManifestView(manifest)).ok()) << name;
}

TEST(Store, a_flipped_byte_anywhere_in_a_pack_is_found_and_the_image_is_named) {
    Place place;
    std::uint64_t size = 0;
    {
        auto store = place.open();
        ASSERT_TRUE(store_sample(*store, 1, 2).ok());
        size = std::filesystem::file_size(only_pack(place.dir.path() / "s"));
    }
    auto pack = only_pack(place.dir.path() / "s");
    int named = 0;
    for (std::uint64_t at = 0; at < size; at += std::max<std::uint64_t>(1, size / 97)) {
        flip_byte(pack, at);
        auto report = place.open()->verify();
        ASSERT_TRUE(report.ok());
        EXPECT_FALSE(report->ok()) << "byte " << at << " of " << size;
        named += !report->hurt.empty();
        flip_byte(pack, at);
    }
    EXPECT_GT(named, 80);
    EXPECT_TRUE(place.open()->verify()->ok());
}

TEST(Store, what_a_damaged_pack_lost_is_taken_again_once_it_is_healed) {
    Place place;
    {
        auto store = place.open();
        ASSERT_TRUE(store_sample(*store, 1, 3).ok());
    }
    auto pack = only_pack(place.dir.path() / "s");
    flip_byte(pack, kPackHeaderBytes + kRecordHeaderBytes + 20);  // in the first chunk
    {
        auto store = place.open();
        auto report = store->verify().value();
        ASSERT_EQ(report.damaged_packs.size(), 1u);
        auto healed = store->heal(report.damaged_packs).value();
        EXPECT_EQ(healed.chunks_kept, 2u);
        EXPECT_EQ(healed.chunks_lost, 1u);
        EXPECT_FALSE(store->contains(sha256(sample_chunk(1))).value());
        EXPECT_TRUE(store->contains(sha256(sample_chunk(3))).value());
        auto hurt = store->verify().value();
        EXPECT_TRUE(hurt.damaged.empty());
        ASSERT_EQ(hurt.hurt.size(), 1u);
        EXPECT_EQ(hurt.hurt[0].missing_chunks, 1u);
    }
    auto store = place.open();
    ASSERT_TRUE(store_sample(*store, 1, 3, "again").ok());
    EXPECT_TRUE(store->verify()->ok());  // the old image is whole again, too
}

TEST(Store, a_damaged_manifest_is_refused_with_its_name) {
    Place place;
    auto store = place.open();
    ASSERT_TRUE(store_sample(*store, 1, 2).ok());
    auto path = place.dir.path() / "s/images/web/1";
    flip_byte(path, 40);
    auto report = store->verify().value();
    ASSERT_EQ(report.hurt.size(), 1u);
    EXPECT_EQ(report.hurt[0].image, "web@1");
    EXPECT_FALSE(report.hurt[0].reason.empty());
}

TEST(Store, what_a_dead_writer_left_is_salvaged_by_the_next) {
    Place place;
    auto chunk = sample_chunk(7);
    auto temp = place.dir.path() / "s/packs";
    std::filesystem::path left = place.dir.path() / "left";
    {
        auto store = place.open();
        auto writer = store->writer().value();
        ASSERT_TRUE(writer->put(sha256(chunk), encoded(chunk)).ok());
        ASSERT_TRUE(writer->flush().ok());
        // A copy of the unfinished pack, half a record more, is what kill -9 leaves.
        for (const auto& entry : std::filesystem::directory_iterator(temp))
            if (entry.path().extension() == ".tmp") std::filesystem::copy_file(entry.path(), left);
    }
    for (const auto& entry : std::filesystem::directory_iterator(temp)) std::filesystem::remove(entry.path());
    ASSERT_TRUE(std::filesystem::exists(left));
    std::ofstream(left, std::ios::app | std::ios::binary) << "CHNK half a record";
    std::filesystem::rename(left, temp / "00000000-0000-4000-8000-000000000001.tmp");
    auto store = place.open();
    auto writer = store->writer().value();
    EXPECT_TRUE(writer->have(std::vector{sha256(chunk)}).value()[0]);
    EXPECT_TRUE(store->verify()->ok());
}

TEST(Store, gc_frees_what_no_image_names_and_nothing_else) {
    Place place;
    auto store = place.open();
    ASSERT_TRUE(store_sample(*store, 1, 4).ok());
    ASSERT_TRUE(store_sample(*store, 3, 4, "db").ok());
    ASSERT_TRUE(store->remove(ImageRef::parse("web").value()).ok());
    GcOptions options;
    options.grace = std::chrono::seconds(-10);
    auto report = store->gc(options, SystemClock()).value();
    EXPECT_EQ(report.chunks_removed, 2u);  // 1 and 2; 3 and 4 are db's
    EXPECT_TRUE(store->verify()->ok());
    EXPECT_TRUE(store->contains(sha256(sample_chunk(3))).value());
    EXPECT_FALSE(store->contains(sha256(sample_chunk(1))).value());
}

// For every N: the N-th file operation fails. Afterwards the store verifies, and the same can be stored.
TEST(Store, any_failing_operation_leaves_a_store_that_verifies_and_takes_it_again) {
    for (bool for_good : {false, true}) {
        int total = 0;
        {
            Place place;
            { auto made = place.open(); }
            auto files = std::make_shared<FailingFiles>(-1, false);
            ASSERT_TRUE(store_sample(*place.open({.files = files}), 1, 3).ok());
            total = files->operations();
        }
        ASSERT_GT(total, 5);
        for (int n = 1; n <= total; ++n) {
            Place place;
            { auto made = place.open(); }
            {
                auto store = place.open({.files = std::make_shared<FailingFiles>(n, for_good)});
                auto first = store_sample(*store, 1, 3);
                if (!first.ok()) {
                    EXPECT_TRUE(first.error().temporary()) << n << ": " << first.error().describe();
                }
            }
            auto store = place.open();
            ASSERT_TRUE(store->verify()->ok()) << n;
            ASSERT_TRUE(store_sample(*store, 1, 3).ok()) << n;
            ASSERT_TRUE(store->verify()->ok()) << n;
        }
    }
}

TEST(Manifest, every_truncation_and_every_flipped_byte_is_refused) {
    auto good = sample_manifest({sha256(sample_chunk(1)), sha256(sample_chunk(2))});
    ASSERT_TRUE(check_manifest(ManifestView(good)).ok());
    for (std::size_t n = 0; n < good.size(); ++n) {
        EXPECT_FALSE(check_manifest(ManifestView(ByteView(good).first(n))).ok()) << n;
        auto bad = good;
        bad[n] ^= std::byte{1};
        EXPECT_FALSE(check_manifest(ManifestView(bad)).ok()) << n;
    }
}

// A store of version 1 as it was first written: it opens for ever.
TEST(Store, opens_the_golden_store) {
    auto dir = TempDir::create("golden").value();
    std::filesystem::copy(SLIPWAY_SOURCE_DIR "/imagestore/test/golden", dir / "s",
                          std::filesystem::copy_options::recursive);
    auto store = Store::open(dir / "s").value();
    ASSERT_EQ(store->images()->size(), 1u);
    EXPECT_EQ(store->images()->front().text(), "golden@1");
    EXPECT_TRUE(store->verify()->ok());
    auto summary = summarize(*store->manifest(ImageRef::parse("golden").value()).value()).value();
    EXPECT_EQ(summary.disks.at(0).disk.serial, "S1");
    EXPECT_EQ(summary.disks.at(0).volumes.at(0).filesystem, "ext4");
    for (unsigned seed : {1u, 2u}) {
        auto chunk = sample_chunk(seed);
        Bytes plain;
        ASSERT_TRUE(ChunkDecoder().decode(sha256(chunk), store->get(sha256(chunk)).value(), plain).ok());
        EXPECT_EQ(plain, chunk);
    }
}

// Not a check: writes the fuzz targets' seeds when asked to.
TEST(Seeds, are_written_on_request) {
    const char* where = std::getenv("SLIPWAY_WRITE_SEEDS");
    if (!where) return;
    auto place = std::filesystem::path(where);
    auto put = [&](const char* name, ByteView bytes) { ASSERT_TRUE(write_file_atomic(place / name, bytes).ok()); };
    put("seeds-manifest/two-chunks", sample_manifest({sha256(sample_chunk(1)), sha256(sample_chunk(2))}));
    put("seeds-manifest/no-data", sample_manifest({}));
    put("seeds-chunk/zstd", encoded(sample_chunk(1, 12000)));
    put("seeds-chunk/raw", encoded(sample_chunk(1, 100)));
    StoreOptions options;
    options.create = true;
    if (const char* golden = std::getenv("SLIPWAY_WRITE_GOLDEN")) {
        ASSERT_TRUE(store_sample(*Store::open(golden, options).value(), 1, 2, "golden").ok());
    }
}
