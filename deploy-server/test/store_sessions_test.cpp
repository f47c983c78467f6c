// SPDX-License-Identifier: GPL-3.0-or-later
// What REST keeps hold of in the store, and how it lets go.
#include "deploy-server/api/store_sessions.hpp"

#include <filesystem>

#include <gtest/gtest.h>

#include "deploy-server/errors.hpp"
#include "imagestore/errors.hpp"
#include "imagestore/manifest.hpp"
#include "lib/base/temp_dir.hpp"

namespace slipway::server {
namespace {

using namespace std::chrono_literals;

struct Sessions : testing::Test {
    TempDir dir = TempDir::create("sessions").value();
    std::unique_ptr<imagestore::Store> store = open_store();
    ManualClock clock;
    ChunkDesk desk{*store};
    StoreSessions sessions{desk, clock, {10min, 60min, 3, 2}};
    Digest id;
    std::string frame;

    Sessions() {
        Bytes chunk(imagestore::kChunkBytes, std::byte{'a'});
        id = sha256(chunk);
        chunk.insert(chunk.begin(), std::byte{0});
        channel::append_frame(frame, id, chunk);
    }
    std::unique_ptr<imagestore::Store> open_store() {
        imagestore::StoreOptions options;
        options.create = true;
        return imagestore::Store::open(dir / "store", options).value();
    }
    Status put(const std::string& upload) {
        return sessions.with(upload, [&](const auto& key, const auto&) { return desk.put(key, frame); });
    }
    std::string have(const std::string& upload) {
        return sessions
            .with(upload,
                  [&](const auto& key, const auto&) {
                      return desk.have(key, channel::render_ids({&id, 1}));
                  })
            .value();
    }
    std::size_t files(const char* extension) const {
        std::size_t count = 0;
        for (const auto& entry : std::filesystem::directory_iterator(dir / "store/packs"))
            count += entry.path().extension() == extension;
        return count;
    }
    imagestore::GcReport collect() { return store->gc({0s, false}, SystemClock()).value(); }
    void commit(const std::string& image) {
        imagestore::MemoryManifest manifest;
        imagestore::ManifestWriter w(manifest);
        imagestore::ImageInfo info;
        info.disk_count = 1;
        imagestore::DiskInfo disk;
        disk.size = imagestore::kChunkBytes;
        disk.name = "sda";
        ASSERT_TRUE(w.image(info) && w.disk(disk) && w.data(id) && w.end_disk() && w.finish());
        auto upload = sessions.open(image).value();
        ASSERT_TRUE(put(upload).ok());
        auto done = sessions.with(upload, [&](const auto& key, const auto& name) {
            return desk.commit(key, name, as_text(manifest.bytes()));
        });
        ASSERT_TRUE(done.ok() && done->version != 0);
        ASSERT_TRUE(sessions.close(upload).ok());
    }
};

TEST_F(Sessions, a_capture_begun_again_finds_what_its_predecessor_sent_and_that_one_may_go_on) {
    auto killed = sessions.open("web").value();
    ASSERT_TRUE(put(killed).ok());
    auto again = sessions.open("web").value();
    EXPECT_EQ(have(again), "\x01");
    EXPECT_EQ(files(".pack"), 1u);
    EXPECT_TRUE(put(killed).ok());
    EXPECT_EQ(have(killed), "\x01");
}

TEST_F(Sessions, an_idle_upload_ends_and_gc_takes_what_it_left) {
    auto killed = sessions.open("web").value();
    ASSERT_TRUE(put(killed).ok());
    EXPECT_EQ(files(".tmp"), 1u);
    clock.advance(9min);
    sessions.expire();
    EXPECT_EQ(have(killed), "\x01") << "idle counts from the last call";
    clock.advance(9min);
    sessions.expire();
    EXPECT_EQ(have(killed), "\x01");
    clock.advance(10min);
    sessions.expire();
    EXPECT_TRUE(put(killed).error().is(errors::kNoUpload));
    EXPECT_EQ(files(".tmp"), 0u);
    EXPECT_EQ(collect().packs_removed, 1u);
    EXPECT_EQ(files(".pack"), 0u);
}

TEST_F(Sessions, a_call_under_way_is_finished_and_then_nothing_is_left_open) {
    auto upload = sessions.open("web").value();
    auto stored = sessions.with(upload, [&](const auto& key, const auto&) -> Status {
        clock.advance(1h);
        sessions.expire();
        EXPECT_TRUE(sessions.close(upload).ok());
        EXPECT_TRUE(sessions.close(upload).error().is(errors::kNoUpload));
        EXPECT_TRUE(put(upload).error().is(errors::kNoUpload)) << "no new call of a closed one";
        return desk.put(key, frame);
    });
    EXPECT_TRUE(stored.ok());
    EXPECT_EQ(files(".tmp"), 0u);
    EXPECT_EQ(files(".pack"), 1u);
}

TEST_F(Sessions, the_chunks_of_an_image_being_read_stay_when_it_is_deleted) {
    commit("web");
    ASSERT_EQ((*sessions.read("web"))->version().text(), "web@1");
    ASSERT_TRUE(store->remove({"web", 0}).ok());
    EXPECT_EQ(collect().packs_removed, 0u);
    EXPECT_TRUE(desk.get_any(channel::render_ids({&id, 1})).ok());
    clock.advance(59min);
    EXPECT_TRUE(sessions.read("web@1").ok()) << "who reads it may go on";
    EXPECT_TRUE(sessions.read("web").error().is(imagestore::errors::kNoImage)) << "who comes now may not";
    clock.advance(60min);
    sessions.expire();
    EXPECT_EQ(collect().packs_removed, 1u);
    EXPECT_TRUE(sessions.read("web@1").error().is(imagestore::errors::kNoImage));
}

TEST_F(Sessions, an_agents_lease_lasts_as_long_as_its_task) {
    commit("web");
    ASSERT_TRUE(desk.manifest("1/1/1/1", {"web", 0}).ok());
    ASSERT_TRUE(store->remove({"web", 0}).ok());
    EXPECT_EQ(collect().packs_removed, 0u);
    desk.over("1/1/1/1");
    EXPECT_EQ(collect().packs_removed, 1u);
}

TEST_F(Sessions, uploads_are_limited_and_names_checked) {
    EXPECT_TRUE(sessions.open("../web").error().is(imagestore::errors::kBadName));
    EXPECT_TRUE(sessions.open("web@1").error().is(imagestore::errors::kBadName));
    for (int i = 0; i < 3; ++i) ASSERT_TRUE(sessions.open("web").ok());
    auto more = sessions.open("web");
    EXPECT_TRUE(more.error().is(errors::kTooManyUploads));
    EXPECT_TRUE(more.error().temporary());
    clock.advance(10min);
    EXPECT_TRUE(sessions.open("web").ok()) << "the idle ones are over";
}

TEST_F(Sessions, of_many_readers_the_longest_unused_gives_up_its_lease) {
    for (const char* name : {"a", "b", "c"}) {
        commit(name);
        clock.advance(1s);
        ASSERT_TRUE(sessions.read(name).ok());
    }
    for (const char* name : {"a", "b", "c"}) ASSERT_TRUE(store->remove({name, 0}).ok());
    EXPECT_FALSE(sessions.read("a@1").ok());
    EXPECT_TRUE(sessions.read("b@1").ok());
    EXPECT_TRUE(sessions.read("c@1").ok());
}

}  // namespace
}  // namespace slipway::server
