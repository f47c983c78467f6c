// SPDX-License-Identifier: GPL-3.0-or-later
// The Image Distribution Service without the server around it: machines that ask and join at once, too often, too late.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <barrier>

#include "deploy-server/distribution/distribution.hpp"
#include "deploy-server/errors.hpp"
#include "imagestore/codec.hpp"
#include "imagestore/multicast/socket_address.hpp"
#include "lib/base/sha256.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"

namespace slipway::server {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

constexpr std::size_t kAnswer = std::size_t{8} << 20;
constexpr const char* kHere = "127.0.0.1";

struct Told {  // what became of questions
    std::atomic<int> count{0};
    int sent() const { return count; }
    std::mutex mutex;
    std::vector<std::string> refused;
    std::vector<std::string> refusals() {
        std::lock_guard hold(mutex);
        return refused;
    }
};

std::uint16_t free_port() {
    const auto probe = multicast::udp_socket(true).value();
    sockaddr_in place{AF_INET, 0, {htonl(INADDR_LOOPBACK)}, {}};
    socklen_t size = sizeof place;
    EXPECT_EQ(::bind(probe.get(), reinterpret_cast<const sockaddr*>(&place), size), 0);
    EXPECT_EQ(::getsockname(probe.get(), reinterpret_cast<sockaddr*>(&place), &size), 0);
    return ntohs(place.sin_port);
}

struct QuestionsTest : testing::Test {
    TempDir dir = TempDir::create("questions").value();
    SystemClock clock;
    std::unique_ptr<Database> db = Database::open(dir / "db.sqlite").value();
    std::unique_ptr<imagestore::Store> store;
    std::unique_ptr<Distribution> d;
    std::string digest;
    std::deque<HeldTask> tasks;  // of one job, a machine each

    void SetUp() override {
        imagestore::StoreOptions o;
        o.create = true;
        store = imagestore::Store::open(dir / "store", o).value();
        d = std::make_unique<Distribution>(*db, *store, clock);
        settings(
            [](auto& s) { s.wait_seconds = 3600, s.port = static_cast<std::uint16_t>(20000 + ::getpid() % 20000); });
    }
    void settings(const std::function<void(DistributionSettings&)>& change) {
        auto s = d->settings();
        change(s);
        ASSERT_TRUE(d->set(s));
    }
    void machines(int count) {
        JobRow job;
        job.mode = JobMode::Parallel;
        job.state = sequences::RunState::Running;
        const auto parent = db->add_job(job).value();
        for (int i = 0; i < count; ++i) {
            JobRow child;
            child.parent = parent;
            child.name = child.device = fmt::format("m{}", i);
            child.sequence_xml = "<sequence/>";
            child.state = sequences::RunState::Running;
            const auto id = db->add_job(child).value();
            tasks.push_back({fmt::format("{}/1/1/1", id), "deploy-image", {{"image", "web"}}, id});
        }
    }
    // One chunk, at so many places.
    void image(unsigned places) {
        const Bytes plain(imagestore::kChunkBytes, std::byte{'a'});
        Bytes encoded{std::byte{0}};
        encoded.insert(encoded.end(), plain.begin(), plain.end());
        const auto id = sha256(plain);
        imagestore::MemoryManifest manifest;
        imagestore::ManifestWriter w(manifest);
        imagestore::ImageInfo info;
        info.disk_count = 1;
        imagestore::DiskInfo disk;
        disk.size = std::uint64_t{places} * imagestore::kChunkBytes;
        disk.name = "sda";
        ASSERT_TRUE(w.image(info) && w.disk(disk));
        for (unsigned i = 0; i < places; ++i) ASSERT_TRUE(w.data(id));
        ASSERT_TRUE(w.end_disk() && w.finish());
        auto writer = store->writer().value();
        ASSERT_TRUE(writer->put(id, encoded) && writer->flush());
        ASSERT_TRUE(writer->commit("web", imagestore::ManifestView(manifest.bytes())));
        digest = to_hex(ByteView(manifest.bytes()).last(32));
    }
    Distribution::Seat seat(std::size_t machine) const {
        return {tasks[machine], fmt::format("m{}", machine), kHere, digest};
    }
    void ask(std::size_t machine, Told& told, bool readable = true) {
        d->ask({tasks[machine], kHere, fmt::format("m{}#1", machine), kAnswer,
                [&told, readable] {
                    told.count += readable;
                    return readable;
                },
                [&told](const Error& error) {
                    std::lock_guard hold(told.mutex);
                    told.refused.push_back(error.name());
                }});
    }
    static void until(const std::function<bool()>& so) {
        for (const auto end = Instant::clock::now() + std::chrono::seconds(30); !so() && Instant::clock::now() < end;)
            std::this_thread::yield();
        EXPECT_TRUE(so());
    }
};

TEST_F(QuestionsTest, a_machine_has_one_question_in_the_row_and_the_later_one_counts) {
    machines(2);
    settings([](auto& s) { s.rate = 100'000; });  // an answer takes ten minutes
    Told first, second, other;
    ask(0, first);
    ask(1, other);
    EXPECT_THAT(first.refusals(), IsEmpty());
    ask(0, second);
    EXPECT_THAT(first.refusals(), testing::ElementsAre("server.asked-again"));
    for (const auto& u : d->unicasts()) EXPECT_EQ(u.bytes, kAnswer) << u.device;
    EXPECT_EQ(first.sent() + second.sent() + other.sent(), 0) << "nothing is read before its turn";
    settings([](auto& s) { s.rate = 0; });
    until([&] { return second.sent() + other.sent() == 2; });
    EXPECT_EQ(first.sent(), 0);
    EXPECT_THAT(second.refusals(), IsEmpty());
}

TEST_F(QuestionsTest, who_asks_over_and_over_holds_nobody_up) {
    machines(2);
    settings([](auto& s) { s.rate = 600'000'000; });  // a tenth of a second an answer
    Told begun;
    ask(0, begun);
    until([&] { return begun.sent() == 1; });
    d->delivered("m0#1");
    Told other;
    std::deque<Told> many(200);
    ask(1, many.front());  // 200 answers would take twenty seconds and more
    for (std::size_t i = 1; i < many.size(); ++i) ask(1, many[i]);
    const auto asked = Instant::clock::now();
    ask(0, other);
    until([&] { return other.sent() == 1; });
    EXPECT_LT(Instant::clock::now() - asked, std::chrono::seconds(10));
}

TEST_F(QuestionsTest, a_machine_that_does_not_read_its_answers_gets_no_third_one) {
    machines(2);
    Told all, other;
    for (int i = 0; i < 3; ++i) ask(0, all);
    EXPECT_EQ(all.sent(), 2);
    EXPECT_THAT(all.refusals(), testing::ElementsAre("server.still-answering"));
    ask(1, other);
    EXPECT_EQ(other.sent(), 1);
    d->delivered("m0#1");
    ask(0, all);
    EXPECT_EQ(all.sent(), 3);
    for (int i = 0; i < 5; ++i) {
        d->delivered("m0#1");
        ask(0, other, false);
    }
    EXPECT_THAT(other.refusals(), IsEmpty()) << "an error is no answer that is on its way";
}

TEST_F(QuestionsTest, what_answers_on_their_way_take_of_memory_has_a_bound) {
    constexpr int kRoom = UnderWay::kMostBytes / kAnswer;
    machines(kRoom + 2);
    Told all;
    for (std::size_t i = 0; i < tasks.size(); ++i) ask(i, all);
    EXPECT_EQ(all.sent(), kRoom);
    EXPECT_THAT(all.refusals(), IsEmpty()) << "the others wait";
    d->delivered("m0#1");
    until([&] { return all.sent() == kRoom + 1; });
    d->delivered("m1#1");
    until([&] { return all.sent() == kRoom + 2; });
}

TEST_F(QuestionsTest, a_question_that_waits_is_refused_when_its_task_ends_or_the_server_stops) {
    machines(2);
    settings([](auto& s) { s.rate = 100'000; });
    Told first, second;
    ask(0, first);
    ask(1, second);
    d->task_over(tasks[0].key);
    EXPECT_THAT(first.refusals(), testing::ElementsAre("server.not-your-task"));
    EXPECT_THAT(d->unicasts(), SizeIs(1));
    d->stop();
    EXPECT_THAT(second.refusals(), testing::ElementsAre("server.busy"));
    ask(1, second);
    EXPECT_THAT(second.refusals(), SizeIs(2));
    EXPECT_EQ(first.sent() + second.sent(), 0);
}

TEST_F(QuestionsTest, a_question_that_was_on_its_way_when_its_task_ended_leaves_no_row) {
    machines(1);
    Told told;
    d->task_over(tasks[0].key);
    ask(0, told);
    EXPECT_THAT(d->unicasts(), IsEmpty());
    (void)d->chunks_at_once(tasks[0], kHere);
    EXPECT_THAT(d->unicasts(), IsEmpty());
}

TEST_F(QuestionsTest, machines_that_join_at_once_share_the_session_that_the_first_of_them_makes) {
    image(200'000);  // so that it takes a moment to make
    machines(8);
    settings([&](auto& s) { s.report_first = s.report_last = free_port(); });
    std::barrier together(static_cast<std::ptrdiff_t>(tasks.size()));
    std::vector<std::string> answers(tasks.size());
    {
        std::vector<std::jthread> all;
        for (std::size_t i = 0; i < tasks.size(); ++i)
            all.emplace_back([&, i] {
                together.arrive_and_wait();
                const auto joined = d->join(seat(i), "\x01");
                answers[i] = joined ? "joined" : joined.error().describe();
            });
    }
    EXPECT_THAT(answers, testing::Each("joined"));
    ASSERT_THAT(d->sessions(), SizeIs(1));
    EXPECT_THAT(d->sessions().at(0).tasks, SizeIs(8));
    for (const auto& task : tasks) d->task_over(task.key);
    EXPECT_THAT(d->sessions(), IsEmpty());
}

TEST_F(QuestionsTest, a_join_that_fails_or_was_on_its_way_when_its_task_ended_leaves_no_session) {
    image(1);
    machines(3);
    EXPECT_FALSE(d->join(seat(0), "\x07"));  // a bitmap of something else
    EXPECT_THAT(d->sessions(), IsEmpty());
    d->task_over(tasks[0].key);
    (void)d->join(seat(0), "\x01");
    EXPECT_THAT(d->sessions(), IsEmpty());
    ASSERT_TRUE(d->join(seat(1), "\x01"));
    d->task_over(tasks[2].key);
    (void)d->join(seat(2), "\x01");
    ASSERT_THAT(d->sessions(), SizeIs(1));
    EXPECT_THAT(d->sessions().at(0).tasks, SizeIs(1)) << "the other one goes on";
    EXPECT_EQ(d->tell(tasks[2], "\x01", false).value(), "join");
    d->task_over(tasks[1].key);
    EXPECT_THAT(d->sessions(), IsEmpty());
}

}  // namespace
}  // namespace slipway::server
