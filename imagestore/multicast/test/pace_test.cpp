// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "imagestore/multicast/pace.hpp"

namespace slipway::multicast {
namespace {

using std::chrono::milliseconds;

constexpr std::uint64_t kRate = 40'000'000;  // 5,000 bytes a millisecond
constexpr std::size_t kPacket = 1400;

// Sends all that may go at `now`.
std::size_t send(Pace& pace, Instant now) {
    std::size_t bytes = 0;
    while (pace.ready() <= now) {
        pace.spend(kPacket, now);
        bytes += kPacket;
    }
    return bytes;
}

TEST(MulticastPace, a_sender_that_gets_the_processor_seldom_keeps_its_rate) {
    const Instant start{};
    Pace pace({kRate, false}, start);
    double sent = 0;
    for (int ms = 0; ms < 5000; ++ms)
        if (ms % 50 >= 10) sent += static_cast<double>(send(pace, start + milliseconds(ms)));  // 10 ms of 50 it waits
    EXPECT_NEAR(sent, 5000.0 * 5000, 5000.0 * 5000 * 0.005);
}

TEST(MulticastPace, what_it_catches_up_with_comes_gently) {
    const Instant start{};
    Pace pace({kRate, false}, start);
    for (int ms = 0; ms < 100; ++ms) (void)send(pace, start + milliseconds(ms));
    // After 80 ms without the processor: a burst of 4 ms, then a quarter more than the rate.
    auto sent = send(pace, start + milliseconds(180));
    EXPECT_LE(sent, 4 * 5000 * 5 / 4 + 2 * kPacket);
    for (int ms = 181; ms < 201; ++ms) sent += send(pace, start + milliseconds(ms));
    EXPECT_NEAR(static_cast<double>(sent), (4 + 20) * 5000 * 1.25, 3 * kPacket);
}

TEST(MulticastPace, a_long_silence_is_not_made_good) {
    const Instant start{};
    Pace pace({kRate, false}, start);
    for (int ms = 0; ms < 100; ++ms) (void)send(pace, start + milliseconds(ms));
    std::size_t sent = 0;
    for (int ms = 0; ms < 4000; ++ms) sent += send(pace, start + std::chrono::seconds(60) + milliseconds(ms));
    EXPECT_NEAR(static_cast<double>(sent), (4000 + 250) * 5000, 20 * 5000);
}

TEST(MulticastPace, a_session_that_waits_for_its_machines_does_not_speed_up) {
    const Instant start{};
    Pace pace({0, true, 20'000'000}, start);
    // An hour of a SYNC each 100 ms, and nobody loses any.
    for (int i = 1; i <= 36'000; ++i) {
        const auto now = start + milliseconds(100 * i);
        ASSERT_LE(pace.ready(), now) << "it goes on, SYNC by SYNC";
        pace.spend(100, now);
        if (i % 2 == 0) (void)pace.on_losses({}, now);
    }
    EXPECT_EQ(pace.rate(), 20'000'000u);
    // With something to send it searches.
    const auto later = start + std::chrono::seconds(3600);
    for (int ms = 1; ms <= 600; ++ms) {
        (void)send(pace, later + milliseconds(ms));
        if (ms % 200 == 0) (void)pace.on_losses({}, later + milliseconds(ms));
    }
    EXPECT_GT(pace.rate(), 40'000'000u);
}

TEST(MulticastPace, without_any_loss_it_still_has_an_end) {
    const Instant start{};
    Pace pace({0, true, 20'000'000}, start);
    for (int i = 1; i <= 1000; ++i) {
        const auto now = start + milliseconds(200 * i);
        pace.spend(std::size_t{1} << 45, now);
        (void)pace.on_losses({}, now);
    }
    EXPECT_LE(pace.rate(), 100'000'000'000u);
    EXPECT_GT(pace.rate(), 1'000'000'000u);
}

TEST(MulticastPace, at_a_loss_event_it_yields_and_never_takes_more_than_a_tcp_would) {
    Instant now{};
    Pace pace({0, true, 20'000'000}, now);
    const auto after_a_second = [&](const Pace::Losses& losses) {
        const auto before = static_cast<double>(pace.rate());
        for (int ms = 0; ms < 1000; ++ms) (void)send(pace, now += milliseconds(1));
        (void)pace.on_losses(losses, now);
        return static_cast<double>(pace.rate()) / before;
    };
    EXPECT_NEAR(after_a_second({}), 2, 0.01) << "it searches";
    EXPECT_NEAR(after_a_second({.share = 0.001, .event = true, .fair = 40e6}), 0.9, 0.01) << "and has found";
    EXPECT_NEAR(after_a_second({.share = 0.001, .event = true, .fair = 1e9}), 0.97, 0.01);
    EXPECT_NEAR(after_a_second({.share = 0.05, .event = true, .fair = 1e9}), 0.9, 0.01) << "twice what was lost";
    EXPECT_NEAR(after_a_second({.share = 0.9, .event = true, .fair = 1e9}), 0.5, 0.01);
    EXPECT_NEAR(after_a_second({.fair = 1e9}), 1.2, 0.01) << "far below what a TCP would take";
    EXPECT_NEAR(after_a_second({.fair = static_cast<double>(pace.rate()) * 1.02}), 1.1, 0.01);
    EXPECT_NEAR(after_a_second({.event = true, .fair = static_cast<double>(pace.rate()) * 0.7}), 0.7, 0.01);
    EXPECT_NEAR(after_a_second({.event = true, .fair = 1e6}), 0.5, 0.01) << "by halves at most";
    EXPECT_NEAR(after_a_second({.fair = 1e6}), 0.9, 0.01) << "without an event slowly";
}

TEST(MulticastPace, a_ceiling_taken_away_and_given_again_leaves_a_fixed_pace_fixed) {
    const Instant start{};
    Pace pace({kRate, false, 20'000'000}, start);
    EXPECT_FALSE(pace.on_losses({.share = 0.5}, start + milliseconds(200))) << "a fixed rate does not yield";
    pace.set_ceiling(0);
    EXPECT_TRUE(pace.on_losses({.share = 0.5}, start + milliseconds(400)))
        << "without a ceiling something has to hold it";
    pace.set_ceiling(kRate / 2);
    EXPECT_EQ(pace.rate(), kRate / 2);
    EXPECT_FALSE(pace.on_losses({.share = 0.5}, start + milliseconds(600)));
    EXPECT_EQ(pace.rate(), kRate / 2);
}

TEST(MulticastPace, a_rate_that_was_a_slip_of_the_unit_is_not_waited_for) {
    const Instant start{};
    Pace pace({kRate, false}, start);
    pace.set_ceiling(100);
    (void)send(pace, start + milliseconds(1));
    EXPECT_GT(pace.ready(), start + std::chrono::seconds(60));
    pace.set_ceiling(kRate);
    EXPECT_LE(pace.ready(), start + milliseconds(10));
    EXPECT_LE(send(pace, start + milliseconds(10)), 20u * kPacket) << "and it is no burst";
    // Another rate for each packet is not one more packet each.
    for (int i = 0; i < 100; ++i) pace.set_ceiling(kRate / 2 + static_cast<unsigned>(i));
    EXPECT_GT(pace.ready(), start + milliseconds(10));
}

}  // namespace
}  // namespace slipway::multicast
