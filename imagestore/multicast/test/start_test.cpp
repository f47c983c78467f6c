// SPDX-License-Identifier: GPL-3.0-or-later
// When a session begins: time and who comes, as values.
#include <gtest/gtest.h>

#include "imagestore/multicast/session.hpp"

namespace slipway::multicast {
namespace {

using namespace std::chrono_literals;

struct Start : testing::Test {
    static constexpr Instant kBegun{1000s};
    SessionOptions options;
    std::unique_ptr<Session> session;
    std::uint8_t keys = 0;

    void SetUp() override {
        options.sender.chunks = 2;
        options.sender.pace = {40'000'000, false, 20'000'000};
    }
    void make(unsigned receivers, std::optional<std::chrono::seconds> after) {
        options.start_receivers = receivers;
        options.start_after = after;
        session = std::make_unique<Session>(
            options, [](std::uint32_t) -> Result<Bytes> { return Bytes(5000); },
            [this] {
                Key key{};
                key[0] = static_cast<std::byte>(++keys);
                return key;
            },
            kBegun);
    }
    std::uint32_t join(const char* name, Instant::duration at) {
        return session->join(name, {true, true}, kBegun + at).number;
    }
    bool sends(Instant::duration at) {
        (void)session->poll(kBegun + at);
        return session->state() == SessionState::Sending;
    }
};

TEST_F(Start, with_the_last_of_those_it_waits_for) {
    make(2, 60s);
    join("a", 1s);
    EXPECT_FALSE(sends(20s));
    join("b", 20s);
    EXPECT_TRUE(sends(20s));
}

TEST_F(Start, without_those_that_have_not_come_so_long_after_the_first) {
    make(3, 30s);
    EXPECT_FALSE(sends(100s)) << "nobody is there";
    join("a", 100s);
    join("b", 125s);
    EXPECT_FALSE(sends(129999ms)) << "the second one's coming prolongs nothing";
    EXPECT_TRUE(sends(130s));
}

TEST_F(Start, at_once_when_it_waits_no_time_at_all) {
    make(40, 0s);
    join("a", 1s);
    EXPECT_TRUE(sends(1s));
}

TEST_F(Start, whatever_the_time_where_none_was_given) {
    make(2, std::nullopt);
    join("a", 1s);
    EXPECT_FALSE(sends(86400s));
    join("b", 86400s);
    EXPECT_TRUE(sends(86400s));
}

TEST_F(Start, without_machines_that_fail_meanwhile) {
    make(3, 3600s);
    join("a", 1s);
    const auto b = join("b", 2s);
    session->expect(3, kBegun + 3s);
    EXPECT_FALSE(sends(3s));
    session->leave(b);
    session->expect(2, kBegun + 4s);
    EXPECT_FALSE(sends(4s)) << "b was one of the three and is not there any more; c may come";
    session->expect(1, kBegun + 5s);
    EXPECT_TRUE(sends(5s)) << "c has failed as well";
}

TEST_F(Start, one_that_comes_again_is_one) {
    make(2, 3600s);
    join("a", 1s);
    join("a", 2s);
    EXPECT_FALSE(sends(2s));
}

}  // namespace
}  // namespace slipway::multicast
