// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/flood.hpp"

#include <gtest/gtest.h>

using namespace slipway;
using namespace std::chrono_literals;

TEST(FloodGuard, one_sender_is_limited_and_the_others_are_not) {
    FloodGuard guard({.rate = 10, .burst = 5, .known = 100});
    using enum FloodGuard::Verdict;
    std::uint64_t loud = 1, quiet = 2;
    Instant now{};
    for (int i = 0; i < 5; ++i) EXPECT_EQ(guard.on_request(loud, now), Admit);
    EXPECT_EQ(guard.on_request(loud, now), RefuseAndSay);
    for (int i = 0; i < 1000; ++i) EXPECT_EQ(guard.on_request(loud, now), Refuse);
    EXPECT_EQ(guard.on_request(quiet, now), Admit);
    EXPECT_EQ(guard.on_request(loud, now += 100ms), Admit);  // filled again by one
    EXPECT_EQ(guard.on_request(loud, now), Refuse);
    for (int i = 0; i < 5; ++i) EXPECT_EQ(guard.on_request(loud, now + 1h), Admit);
}

TEST(FloodGuard, many_senders_take_no_more_room) {
    FloodGuard guard({.rate = 1, .burst = 1, .known = 100});
    for (std::uint64_t i = 0; i < 10'000; ++i) EXPECT_EQ(guard.on_request(i, Instant{}), FloodGuard::Verdict::Admit);
    EXPECT_EQ(guard.size(), 100u);
}
