// SPDX-License-Identifier: GPL-3.0-or-later
// Images as one stream: out of a store, into another, and everything that may happen on the way.
#include <gtest/gtest.h>

#include <algorithm>

#include "imagestore/errors.hpp"
#include "imagestore/store.hpp"
#include "imagestore/test/samples.hpp"
#include "imagestore/transfer.hpp"
#include "lib/base/temp_dir.hpp"

using namespace slipway;
using namespace slipway::imagestore;
using namespace slipway::imagestore::samples;

namespace {

class MemoryStream final : public ByteStream {
public:
    explicit MemoryStream(ByteView bytes) : left_(bytes) {}
    Result<std::size_t> read(std::span<std::byte> out) override {
        auto n = std::min(out.size(), left_.size());
        std::copy_n(left_.begin(), n, out.begin());
        left_ = left_.subspan(n);
        return n;
    }

private:
    ByteView left_;
};

struct Place {
    TempDir dir = TempDir::create("transfer").value();
    std::unique_ptr<Store> open(const char* name = "s") {
        StoreOptions options;
        options.create = true;
        return Store::open(dir / name, options).value();
    }
};

// Of these seeds; small chunks are not possible before a disk's last, so each is 1 MiB that compresses well.
void add(Store& store, const std::vector<unsigned>& seeds, const std::string& name = "web") {
    auto writer = store.writer().value();
    std::vector<ChunkId> ids;
    for (auto seed : seeds) {
        auto chunk = sample_chunk(seed);
        ids.push_back(sha256(chunk));
        ASSERT_TRUE(writer->put(ids.back(), encoded(chunk)).ok());
    }
    auto manifest = sample_manifest(ids);
    ASSERT_TRUE(writer->commit(name, ManifestView(manifest))->missing.empty());
}

Bytes exported(Store& store, const std::string& name = "web") {
    auto manifest = store.manifest(ImageRef::parse(name).value()).value();
    MemoryManifest out;
    auto report = export_image(manifest->version().name, manifest->version().version, *manifest, store, out);
    EXPECT_TRUE(report.ok()) << report.error().describe();
    return out.bytes();
}

Result<ImportReport> import(Store& store, ByteView archive, const std::string& name = {}) {
    MemoryStream in(archive);
    auto writer = TRY(store.writer());
    return import_image(in, name, *writer);
}

Bytes manifest_bytes(Store& store, const std::string& name) {
    auto manifest = store.manifest(ImageRef::parse(name).value()).value();
    Bytes out(manifest->size());
    EXPECT_TRUE(manifest->read(0, out).ok());
    return out;
}

}  // namespace

TEST(Transfer, an_image_goes_into_another_store_and_is_the_same_there) {
    Place place;
    auto from = place.open("from"), to = place.open("to");
    add(*from, {1, 2, 1, 3});
    auto archive = exported(*from);
    auto report = import(*to, archive);
    ASSERT_TRUE(report.ok()) << report.error().describe();
    EXPECT_EQ(report->image, "web@1");
    EXPECT_EQ(report->chunks, 3u);  // the one named twice is there once
    EXPECT_EQ(report->stored, 3u);
    EXPECT_EQ(report->bytes, archive.size());
    EXPECT_EQ(manifest_bytes(*from, "web@1"), manifest_bytes(*to, "web@1"));
    EXPECT_TRUE(to->verify()->ok());

    // Again: it is there already. Under another name: a version of that, and nothing is stored twice.
    EXPECT_EQ(import(*to, archive)->image, "web@1");
    auto renamed = import(*to, archive, "copy").value();
    EXPECT_EQ(renamed.image, "copy@1");
    EXPECT_EQ(renamed.stored, 0u);
    // Out of the second store comes the very same stream.
    EXPECT_EQ(exported(*to), archive);
}

TEST(Transfer, every_cut_and_every_flipped_bit_is_refused_and_no_image_appears) {
    Place place;
    auto from = place.open("from"), to = place.open("to");
    add(*from, {1, 2});
    auto archive = exported(*from);
    auto refused = [&](ByteView bytes, std::size_t at) {
        auto report = import(*to, bytes);
        ASSERT_FALSE(report.ok()) << at;
        EXPECT_TRUE(report.error().name().starts_with("imagestore.")) << at << ": " << report.error().describe();
        EXPECT_FALSE(report.error().next_step().empty());
    };
    for (std::size_t n = 0; n < archive.size(); n += n < 500 ? 1 : 37) {
        refused(ByteView(archive).first(n), n);
        auto bad = archive;
        bad[n] ^= std::byte{0x10};
        // The version it had is for people, and is under the header's checksum too.
        refused(bad, n);
    }
    auto longer = archive;
    longer.push_back(std::byte{0});
    refused(longer, longer.size());
    EXPECT_TRUE(to->images()->empty());
    EXPECT_TRUE(to->verify()->ok());
}

TEST(Transfer, an_interrupted_import_goes_on_and_stores_nothing_twice) {
    Place place;
    auto from = place.open("from"), to = place.open("to");
    add(*from, {1, 2, 3, 4});
    auto archive = exported(*from);
    auto cut = import(*to, ByteView(archive).first(archive.size() - 200));
    ASSERT_FALSE(cut.ok());
    EXPECT_TRUE(cut.error().is(errors::kBadArchive));
    EXPECT_EQ(to->size()->chunks, 3u);
    auto rest = import(*to, archive).value();
    EXPECT_EQ(rest.chunks, 4u);
    EXPECT_EQ(rest.stored, 1u);
    EXPECT_EQ(to->size()->chunks, 4u);
}

TEST(Transfer, chunks_that_the_image_does_not_name_are_not_taken) {
    Place place;
    auto to = place.open("to");
    auto ours = sample_chunk(1), foreign = sample_chunk(2);
    auto manifest = sample_manifest({sha256(ours)});
    auto with = [&](std::vector<std::pair<ChunkId, Bytes>> chunks) {
        MemoryManifest out;
        ArchiveWriter writer(out);
        EXPECT_TRUE(writer.start({"web", 1, manifest.size()}, ManifestView(manifest)).ok());
        for (const auto& [id, chunk] : chunks) EXPECT_TRUE(writer.chunk(id, encoded(chunk)).ok());
        EXPECT_TRUE(writer.finish().ok());
        return out.bytes();
    };
    auto unnamed = import(*to, with({{sha256(ours), ours}, {sha256(foreign), foreign}}));
    ASSERT_FALSE(unnamed.ok());
    EXPECT_TRUE(unnamed.error().is(errors::kBadArchive)) << unnamed.error().describe();
    auto again = import(*to, with({{sha256(ours), ours}, {sha256(ours), ours}}));
    ASSERT_FALSE(again.ok());  // an endless file cannot repeat itself
    EXPECT_TRUE(again.error().is(errors::kBadArchive));
    EXPECT_FALSE(to->contains(sha256(foreign)).value());

    auto fresh = place.open("fresh");
    auto lying = import(*fresh, with({{sha256(ours), foreign}}));
    ASSERT_FALSE(lying.ok());
    EXPECT_TRUE(lying.error().is(errors::kBadChunk)) << lying.error().describe();
    auto lacking = import(*fresh, with({}));
    ASSERT_FALSE(lacking.ok());
    EXPECT_TRUE(lacking.error().is(errors::kBadArchive)) << lacking.error().describe();
    EXPECT_TRUE(fresh->images()->empty());
    // A writer of small memory may repeat a chunk where it is named again.
    manifest = sample_manifest({sha256(ours), sha256(ours)});
    EXPECT_TRUE(import(*fresh, with({{sha256(ours), ours}, {sha256(ours), ours}})).ok());
}

TEST(Transfer, a_damaged_chunk_does_not_leave_the_store) {
    Place place;
    auto from = place.open("from");
    auto chunk = sample_chunk(1);
    {
        auto writer = from->writer(WriterOptions{.check_chunks = false}).value();
        ASSERT_TRUE(writer->put(sha256(chunk), encoded(sample_chunk(2))).ok());
        auto manifest = sample_manifest({sha256(chunk)});
        ASSERT_TRUE(writer->commit("web", ManifestView(manifest)).ok());
    }
    auto manifest = from->manifest(ImageRef::parse("web").value()).value();
    MemoryManifest out;
    auto report = export_image("web", 1, *manifest, *from, out);
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(errors::kBadChunk));
}

// Not a check: writes the fuzz target's seeds when asked to.
TEST(Seeds, of_archives_are_written_on_request) {
    const char* where = std::getenv("SLIPWAY_WRITE_SEEDS");
    if (!where) return;
    Place place;
    auto from = place.open("from");
    add(*from, {1, 2, 1});
    add(*from, {}, "empty");
    auto put = [&](const char* name, ByteView bytes) {
        ASSERT_TRUE(write_file_atomic(std::filesystem::path(where) / "seeds-archive" / name, bytes).ok());
    };
    put("three-chunks", exported(*from));
    put("no-data", exported(*from, "empty"));
}
