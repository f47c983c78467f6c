// SPDX-License-Identifier: GPL-3.0-or-later
// Verify and gc of the server's store, with a disk that answers when the test lets it.
#include "deploy-server/api/store_work.hpp"

#include <future>

#include <gtest/gtest.h>

#include "deploy-server/errors.hpp"
#include "lib/base/temp_dir.hpp"

namespace slipway::server {
namespace {

using namespace std::chrono_literals;

// Once held, opening a pack waits for release().
class SlowFiles final : public imagestore::Files {
public:
    Result<UniqueFd> open(const std::filesystem::path& path, bool writable) override {
        std::unique_lock lock(mutex_);
        if (held_ && path.extension() == ".pack") {
            waiting_ = true;
            changed_.notify_all();
            changed_.wait(lock, [this] { return !held_; });
        }
        lock.unlock();
        return Files::open(path, writable);
    }
    void hold() {
        std::lock_guard lock(mutex_);
        held_ = true;
    }
    void wait_for_reader() {
        std::unique_lock lock(mutex_);
        changed_.wait(lock, [this] { return waiting_; });
    }
    void release() {
        std::lock_guard lock(mutex_);
        held_ = false;
        changed_.notify_all();
    }

private:
    std::mutex mutex_;
    std::condition_variable changed_;
    bool held_ = false, waiting_ = false;
};

struct Work : testing::Test {
    TempDir dir = TempDir::create("work").value();
    std::shared_ptr<SlowFiles> files = std::make_shared<SlowFiles>();  // the store's and the test's
    std::unique_ptr<imagestore::Store> store = open_store();
    SystemClock clock;
    LongCalls calls;
    StoreWork work{*store, clock, calls};

    std::unique_ptr<imagestore::Store> open_store() {
        imagestore::StoreOptions options;
        options.create = true;
        options.files = files;
        return imagestore::Store::open(dir / "store", options).value();
    }
    void SetUp() override {  // two packs of a chunk each
        for (char c : {'a', 'b'}) {
            Bytes chunk(imagestore::kChunkBytes, static_cast<std::byte>(c));
            auto id = sha256(chunk);
            chunk.insert(chunk.begin(), std::byte{0});
            ASSERT_TRUE(store->writer().value()->put(id, chunk).ok());
        }
    }
    void TearDown() override {
        files->release();
        work.stop();
        calls.stop();
    }
    std::future<http::Response> ask(const std::string& id, std::chrono::seconds wait) {
        auto promise = std::make_shared<std::promise<http::Response>>();  // the responder is copied
        auto answer = promise->get_future();
        work.answer(id, wait, http::Responder([promise](http::Response r) { promise->set_value(std::move(r)); }));
        return answer;
    }
    json::object answer(const std::string& id, std::chrono::seconds wait = 60s) {
        return parse_object(ask(id, wait).get().body).value();
    }
};

TEST_F(Work, a_verify_is_answered_when_it_ends) {
    auto ended = answer(work.verify());
    EXPECT_EQ(ended.at("state"), "done");
    EXPECT_TRUE(ended.at("result").at("ok").as_bool());
    EXPECT_EQ(ended.at("result").at("packs"), 2);
    EXPECT_EQ(ended.at("result").at("chunks"), 2);
}

TEST_F(Work, one_that_runs_is_asked_for_begun_once_and_told_of) {
    files->hold();
    auto id = work.verify();
    files->wait_for_reader();
    EXPECT_EQ(work.verify(), id) << "nobody reads the store twice at once";
    auto now = answer(id, 0s);
    EXPECT_EQ(now.at("state"), "running");
    EXPECT_EQ(now.at("progress").at("what"), "verifying");
    auto later = ask(id, 60s);  // many may wait: none holds up another
    auto other = ask(id, 60s);
    files->release();
    EXPECT_EQ(parse_object(later.get().body)->at("state"), "done");
    EXPECT_EQ(parse_object(other.get().body)->at("state"), "done");
    EXPECT_NE(work.verify(), id);
}

TEST_F(Work, a_cancelled_verify_stops_and_says_so) {
    files->hold();
    auto id = work.verify();
    files->wait_for_reader();
    ASSERT_TRUE(work.cancel(id).ok());
    EXPECT_NE(work.verify(), id) << "it is as good as over";
    files->release();
    auto ended = answer(id);
    EXPECT_EQ(ended.at("state"), "failed");
    EXPECT_EQ(ended.at("error").at("name"), "imagestore.cancelled");
    EXPECT_TRUE(work.cancel("0").error().is(errors::kNoWork));
    EXPECT_EQ(ask("0", 0s).get().status, 404u);
}

TEST_F(Work, a_server_that_stops_answers_those_who_wait) {
    files->hold();
    auto id = work.verify();
    files->wait_for_reader();
    auto waits = ask(id, 600s);
    work.stop();
    EXPECT_EQ(parse_object(waits.get().body)->at("state"), "running");
}

TEST_F(Work, gc_says_what_it_would_free_and_what_it_freed) {
    auto dry = answer(work.gc(true));
    EXPECT_EQ(dry.at("what"), "gc-dry-run");
    EXPECT_EQ(dry.at("result").at("packs_removed"), 0);
    EXPECT_EQ(dry.at("result").at("packs_young"), 2) << "the grace period is a day";
    EXPECT_EQ(answer(work.gc(false)).at("what"), "gc");
}

TEST_F(Work, the_last_few_that_ended_are_kept) {
    auto first = work.gc(false);
    answer(first);
    std::string last;
    for (int i = 0; i < 20; ++i) answer(last = work.gc(false));
    EXPECT_EQ(ask(first, 0s).get().status, 404u);
    EXPECT_EQ(answer(last).at("state"), "done");
}

}  // namespace
}  // namespace slipway::server
