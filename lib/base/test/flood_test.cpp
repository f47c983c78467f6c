// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/flood.hpp"

#include <gtest/gtest.h>

#include "lib/base/seldom.hpp"

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

TEST(Seldom, once_a_minute_a_client_and_not_more_than_many_clients) {
    Seldom seldom;
    auto mac = [](unsigned n) { return MacAddress{{0, 0, 0, 0, 0, static_cast<std::uint8_t>(n)}}; };
    Instant start{1h};
    EXPECT_TRUE(seldom.due(mac(0), start));
    EXPECT_FALSE(seldom.due(mac(0), start + 59s));
    EXPECT_TRUE(seldom.due(mac(1), start + 59s));
    EXPECT_TRUE(seldom.due(mac(0), start + 60s));
    unsigned told = 1;
    for (unsigned n = 1; n < 200; ++n) told += seldom.due(mac(n), start + 61s).has_value();
    EXPECT_EQ(told, Seldom::kMany);
}

TEST(Seldom, the_next_line_says_how_many_were_left_out) {
    Seldom seldom;
    MacAddress loud{{0, 0, 0, 0, 0, 1}}, other{{0, 0, 0, 0, 0, 2}};
    Instant start{1h};
    EXPECT_EQ(seldom.due(loud, start), "");
    for (int i = 0; i < 7; ++i) EXPECT_EQ(seldom.due(loud, start + 1s), std::nullopt);
    EXPECT_EQ(seldom.due(other, start + 2s), " (7 such lines were left out before)");
    EXPECT_EQ(seldom.due(loud, start + 60s), "");
}
