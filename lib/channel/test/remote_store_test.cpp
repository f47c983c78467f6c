// SPDX-License-Identifier: GPL-3.0-or-later
// The remote store over calls that go nowhere but into this test.
#include "lib/channel/remote_store.hpp"

#include <algorithm>
#include <map>
#include <optional>

#include <gtest/gtest.h>

#include "lib/base/errors.hpp"
#include "lib/channel/chunk_frames.hpp"
#include "lib/channel/errors.hpp"

namespace slipway::channel {
namespace {

// A server that keeps frames by id; what it is asked is counted by verb.
struct FakeServer final : ChunkCalls {
    std::map<Digest, Bytes> chunks;
    std::map<std::string, int> calls;
    std::size_t longest = 0;
    std::uint64_t shortest_answer = UINT64_MAX;
    std::optional<Error> failure;       // of the next call
    std::optional<std::string> answer;  // of the next call, whatever it was
    std::size_t most = SIZE_MAX;        // chunks of an answer
    ManualClock clock;
    std::chrono::milliseconds there_and_back{0}, a_chunk{0};  // what an answer takes
    std::vector<std::size_t> asked;                           // chunks of each get
    CommitAnswer committed{200, "application/json", R"({"version":3})"};
    std::string manifest;

    Result<std::string> call(const std::string& verb, const std::string& body, std::uint64_t max_answer) override {
        ++calls[verb];
        shortest_answer = std::min(shortest_answer, max_answer);
        longest = std::max(longest, body.size());
        if (failure) return std::exchange(failure, std::nullopt).value();
        if (answer) return std::exchange(answer, std::nullopt).value();
        if (verb.empty())
            for (const auto& f : TRY(parse_frames(body))) chunks[f.id] = Bytes(f.encoded.begin(), f.encoded.end());
        std::string out;
        if (verb == "have") {
            std::vector<bool> known;
            for (const auto& id : TRY(parse_ids(body))) known.push_back(chunks.contains(id));
            return render_flags(known);
        }
        if (verb == kGet) {
            auto ids = TRY(parse_ids(body));
            asked.push_back(ids.size());
            ids.resize(std::min(ids.size(), most));
            clock.advance(there_and_back + a_chunk * ids.size());
            for (const auto& id : ids) append_frame(out, id, chunks.at(id));
        }
        return out;
    }
    Result<CommitAnswer> commit(const std::string&, std::string bytes, std::uint64_t) override {
        ++calls["commit"];
        manifest = std::move(bytes);
        return committed;
    }
};

struct RemoteStore : testing::Test {
    FakeServer server;
    RemoteSink sink{server};
    RemoteSource source{server, server.clock};
    static Digest id(int n) { return sha256(as_bytes(std::to_string(n))); }
    static Bytes chunk(std::size_t bytes, int n) { return Bytes(bytes, static_cast<std::byte>(n)); }
};

TEST_F(RemoteStore, small_chunks_share_a_call_and_no_body_is_longer_than_the_server_takes) {
    for (int n = 0; n < 9; ++n) ASSERT_TRUE(sink.put(id(n), chunk(kMaxFrame, n)).ok());
    EXPECT_EQ(server.calls[""], 2) << "three of 1 MiB to a body of 4 MiB";
    for (int n = 9; n < 100; ++n) ASSERT_TRUE(sink.put(id(n), chunk(100, n)).ok());
    ASSERT_TRUE(sink.flush().ok());
    EXPECT_EQ(server.calls[""], 3) << "the small ones went with the last three";
    EXPECT_EQ(server.calls["flush"], 1);
    EXPECT_LE(server.longest, kMaxBody);
    EXPECT_EQ(server.chunks.size(), 100u);
    EXPECT_EQ(server.chunks.at(id(42)), chunk(100, 42));
}

TEST_F(RemoteStore, what_waits_to_be_sent_is_known_and_what_failed_to_go_is_not) {
    ASSERT_TRUE(sink.put(id(1), chunk(10, 1)).ok());
    const std::vector<Digest> both{id(1), id(2)};
    EXPECT_EQ(sink.have(both).value(), (std::vector<bool>{true, false}));
    EXPECT_EQ(server.calls[""], 0);
    server.failure = make_error(slipway::errors::kNoSpace, "full");
    EXPECT_TRUE(sink.flush().error().is(slipway::errors::kNoSpace));
    EXPECT_EQ(sink.have(both).value(), (std::vector<bool>{false, false}));
}

TEST_F(RemoteStore, the_reason_of_a_refusal_fits_where_one_flag_was_expected) {
    ASSERT_TRUE(sink.have(std::vector<Digest>{id(1)}).ok());
    ASSERT_TRUE(sink.flush().ok());
    EXPECT_GE(server.shortest_answer, 4096u);
}

TEST_F(RemoteStore, a_commit_sends_the_rest_first_and_hands_the_missing_back) {
    ASSERT_TRUE(sink.put(id(1), chunk(10, 1)).ok());
    auto bytes = to_bytes("a manifest");
    const std::vector<Digest> missing{id(7), id(8)};
    server.committed = {409, "application/octet-stream", render_ids(missing)};
    auto first = sink.commit("web", imagestore::ManifestView(bytes)).value();
    EXPECT_EQ(first.missing, missing);
    EXPECT_EQ(first.version, 0u);
    EXPECT_TRUE(server.chunks.contains(id(1)));
    EXPECT_EQ(server.manifest, "a manifest");
    server.committed = {200, "application/json", R"({"version":3})"};
    EXPECT_EQ(sink.commit("web", imagestore::ManifestView(bytes))->version, 3u);
}

TEST_F(RemoteStore, an_error_of_64_bytes_is_not_taken_for_two_missing_chunks) {
    std::string body = R"({"error":{"name":"a.b","message":"c","next_step":"d"}})";
    body.insert(body.size() - 3, 64 - body.size(), '.');
    ASSERT_EQ(body.size(), 64u);
    auto bytes = to_bytes("m");
    server.committed = {409, "application/json", body};
    EXPECT_EQ(sink.commit("web", imagestore::ManifestView(bytes)).error().name(), "a.b");
}

TEST_F(RemoteStore, answers_that_are_none_are_named) {
    const std::vector<Digest> ids{id(1), id(2)};
    auto bytes = to_bytes("m");
    for (const char* flags : {"", "\x01", "\x01\x01\x01"}) {
        server.answer = flags;
        EXPECT_TRUE(sink.have(ids).error().is(errors::kBadMessage)) << flags;
    }
    for (const char* body : {"", "[]", R"({"version":0})", R"({"version":-1})", R"({"version":"3"})"}) {
        server.committed = {200, "application/json", body};
        EXPECT_TRUE(sink.commit("web", imagestore::ManifestView(bytes)).error().is(errors::kBadMessage)) << body;
    }
    for (const char* body : {"", "short"}) {
        server.committed = {409, "application/octet-stream", body};
        EXPECT_TRUE(sink.commit("web", imagestore::ManifestView(bytes)).error().is(errors::kBadMessage)) << body;
    }
}

TEST_F(RemoteStore, chunks_come_in_the_order_asked_for_a_few_a_call) {
    std::vector<Digest> ids;
    for (int n = 0; n < 20; ++n) {
        ids.push_back(id(n));
        ASSERT_TRUE(sink.put(id(n), chunk(10, n)).ok());
    }
    ASSERT_TRUE(sink.flush().ok());
    std::reverse(ids.begin(), ids.end());
    auto got = source.get_many(ids).value();
    ASSERT_EQ(got.size(), 20u);
    EXPECT_EQ(got[0], chunk(10, 19));
    EXPECT_EQ(got[19], chunk(10, 0));
    EXPECT_EQ(server.asked, (std::vector<std::size_t>{2, 4, 8, 6}));
    EXPECT_EQ(source.get(id(5)).value(), chunk(10, 5));
    ASSERT_EQ(source.get_many(ids).value(), got);  // by now it asks for the most at once
    for (std::size_t most : {1u, 3u, 7u}) {
        server.calls.clear();
        server.most = most;
        EXPECT_EQ(source.get_many(ids).value(), got) << "an answer may be the first few of those asked for";
        EXPECT_EQ(server.calls[kGet], static_cast<int>((ids.size() + most - 1) / most));
    }
}

TEST_F(RemoteStore, an_answer_brings_as_much_as_takes_a_second_and_each_chunk_is_handed_on_before_the_next_answer) {
    std::vector<Digest> ids;
    for (int n = 0; n < 40; ++n) {
        ids.push_back(id(n));
        ASSERT_TRUE(sink.put(id(n), chunk(10, n)).ok());
    }
    ASSERT_TRUE(sink.flush().ok());
    std::size_t taken = 0;
    auto take = [&](std::size_t index, Bytes encoded) -> Status {
        EXPECT_EQ(index, taken++);
        EXPECT_EQ(encoded, chunk(10, static_cast<int>(index)));
        std::size_t asked = 0;
        for (auto n : server.asked) asked += n;
        EXPECT_LE(asked - index, RemoteSource::kMostAtOnce);
        return {};
    };
    using namespace std::chrono_literals;
    server.there_and_back = 20ms;
    server.a_chunk = 8ms;  // 1 Gbit/s
    ASSERT_TRUE(source.get_each(ids, take).ok());
    EXPECT_EQ(server.asked, (std::vector<std::size_t>{2, 4, 8, 8, 8, 8, 2}));
    server.asked.clear();
    taken = 0;
    server.a_chunk = 1700ms;  // 5 Mbit/s
    ASSERT_TRUE(source.get_each(ids, take).ok());
    EXPECT_EQ(server.asked[3], 1u);
    EXPECT_EQ(server.asked.back(), 1u);
    EXPECT_EQ(taken, 40u);
}

TEST_F(RemoteStore, what_came_before_an_answer_that_failed_was_handed_on) {
    std::vector<Digest> ids{id(0), id(1), id(2)};
    for (int n = 0; n < 3; ++n) ASSERT_TRUE(sink.put(id(n), chunk(10, n)).ok());
    ASSERT_TRUE(sink.flush().ok());
    std::size_t taken = 0;
    auto status = source.get_each(ids, [&](std::size_t, Bytes) -> Status {
        if (++taken == 2) server.failure = make_error(slipway::errors::kNoSpace, "full");
        return {};
    });
    EXPECT_TRUE(status.error().is(slipway::errors::kNoSpace));
    EXPECT_EQ(taken, 2u);
}

TEST_F(RemoteStore, another_chunk_than_was_asked_for_is_refused) {
    std::string other, both;
    append_frame(other, id(2), chunk(10, 2));
    append_frame(both, id(1), chunk(10, 1));
    append_frame(both, id(2), chunk(10, 2));
    for (const auto& body : {other, both, std::string(), other.substr(0, 40)}) {
        server.answer = body;
        EXPECT_TRUE(source.get(id(1)).error().is(errors::kBadMessage));
    }
}

}  // namespace
}  // namespace slipway::channel
