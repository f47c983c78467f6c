// SPDX-License-Identifier: GPL-3.0-or-later
// Whole sessions in simulated time.
#include <gtest/gtest.h>

#include "imagestore/multicast/test/simulator.hpp"

namespace slipway::multicast {
namespace {

using namespace test;

void all_whole(const Simulation& s) {
    for (const auto& node : s.nodes) {
        if (node->aside) continue;
        EXPECT_TRUE(s.whole(*node)) << node->number << " lacks " << node->receiver->lacking();
    }
}
double at_ceiling(const Simulation& s, std::uint64_t bits) {
    return static_cast<double>(s.image_bytes()) * 8 / static_cast<double>(bits);
}

TEST(MulticastSession, without_loss_everybody_gets_it_at_the_lines_speed) {
    double one = 0;
    for (unsigned n : {1u, 8u, 32u})
        for (bool clear : {false, true}) {
            Simulation s({.chunks = 40, .clear = clear});
            for (unsigned i = 0; i < n; ++i) s.add({});
            ASSERT_TRUE(s.run());
            all_whole(s);
            EXPECT_EQ(s.sender->counts().repair_symbols, 0u);
            EXPECT_LT(s.wire_factor(), 1.09) << "headers and SYNC";
            if (n == 1) one = s.seconds();
            EXPECT_LT(s.seconds(), one * 1.15) << n;
            EXPECT_LT(s.seconds(), at_ceiling(s, 40'000'000) * 1.1 + 0.2);
        }
}

TEST(MulticastSession, independent_loss_costs_little_more_than_itself) {
    double lossless = 0;
    for (auto [loss, most] : {std::pair{0.0, 1.0}, {0.01, 1.15}, {0.03, 1.25}, {0.05, 1.4}}) {
        Simulation s({.chunks = 160, .seed = 11});
        for (unsigned i = 0; i < 32; ++i) s.add({.loss = loss, .loss_back = loss});
        ASSERT_TRUE(s.run());
        all_whole(s);
        if (loss == 0) lossless = s.seconds();
        EXPECT_LE(s.seconds(), lossless * most) << loss;
        EXPECT_LE(s.wire_factor(), 1.4) << loss;
        std::printf(
            "loss %.0f %%: %.2f of the lossless time, %.3f bytes on the wire a byte, %llu ahead, %llu repairs\n",
            loss * 100, s.seconds() / lossless, s.wire_factor(),
            static_cast<unsigned long long>(s.sender->counts().ahead_symbols),
            static_cast<unsigned long long>(s.sender->counts().repair_symbols));
    }
}

TEST(MulticastSession, a_thousand_receivers_with_any_loss_and_disorder) {
    for (std::uint64_t seed : {1u, 2u, 3u}) {
        Simulation s({.chunks = 6, .chunk_bytes = 60'000, .seed = seed});
        for (unsigned i = 0; i < 1000; ++i)
            s.add({.loss = (i % 5) * 0.01,
                   .loss_back = 0.02,
                   .jitter = std::chrono::microseconds(i % 3 * 2000),
                   .repeated = 0.01});
        ASSERT_TRUE(s.run()) << "seed " << seed;
        all_whole(s);
        std::uint64_t reports = s.sender->counts().reports;
        std::printf("seed %llu: %.2f s, %.3f bytes on the wire a byte, %llu reports of 1000 receivers\n",
                    static_cast<unsigned long long>(seed), s.seconds(), s.wire_factor(),
                    static_cast<unsigned long long>(reports));
        EXPECT_LT(s.wire_factor(), 1.8);
        EXPECT_LT(reports, 6000u) << "the others keep silent about what the sender knows";
    }
}

TEST(MulticastSession, disorder_and_repetition_alone_change_nothing) {
    Simulation s({.chunks = 20, .seed = 5});
    for (unsigned i = 0; i < 8; ++i) s.add({.jitter = 8000us, .repeated = 0.2});
    ASSERT_TRUE(s.run());
    all_whole(s);
    EXPECT_GT(s.nodes[0]->receiver->counts().replayed, 100u);
    EXPECT_LT(s.sender->counts().repair_symbols, 20u);
}

TEST(MulticastSession, a_late_one_gets_what_it_missed_and_nobody_else_gets_it_again) {
    Simulation s({.chunks = 50});
    for (unsigned i = 0; i < 4; ++i) s.add({});
    ASSERT_TRUE(s.run([&] { return s.sender->chunks_sent() == 30; }));
    const auto before = s.sender->counts().source_symbols;
    auto& late = s.add({});
    ASSERT_TRUE(s.run());
    all_whole(s);
    EXPECT_EQ(s.sender->round(), 2u);
    EXPECT_LE(s.sender->counts().source_symbols, before * 5 / 3 + before + 80)
        << "the other 20, then the 30 or 31 it missed";
    for (unsigned i = 0; i < 4; ++i) EXPECT_LT(s.nodes[i]->finished, late.finished);
}

TEST(MulticastSession, one_that_dies_and_comes_back_needs_what_it_had_not) {
    Simulation s({.chunks = 50});
    for (unsigned i = 0; i < 4; ++i) s.add({.loss = 0.01});
    auto& victim = *s.nodes[0];
    ASSERT_TRUE(s.run([&] { return s.sender->chunks_sent() == 20; }));
    s.leave(victim);
    const auto had = 50 - victim.receiver->lacking();
    ASSERT_GE(had, 18u);
    ASSERT_TRUE(s.run([&] { return s.sender->chunks_sent() == 30; }));
    s.join(victim, s.lacking(victim));
    EXPECT_EQ(victim.receiver->lacking(), 50 - had);
    ASSERT_TRUE(s.run());
    all_whole(s);
    EXPECT_LT(s.wire_factor(), 1.4);
}

TEST(MulticastSession, a_sender_that_starts_again_goes_on_with_what_is_missing) {
    Simulation s({.chunks = 40});
    for (unsigned i = 0; i < 4; ++i) s.add({.loss = 0.02});
    ASSERT_TRUE(s.run([&] { return s.sender->chunks_sent() == 25; }));
    s.make_sender();
    for (auto& node : s.nodes) s.join(*node, s.lacking(*node));
    ASSERT_TRUE(s.run());
    all_whole(s);
    EXPECT_LT(s.wire_factor(), 0.6) << "of the second sender";
}

TEST(MulticastSession, one_who_loses_much_is_moved_aside_and_holds_nobody_up) {
    auto seconds = [](bool with) {
        Simulation s({.chunks = 200, .seed = 3});
        for (unsigned i = 0; i < 31; ++i) s.add({.loss = 0.01});
        if (with) s.add({.bits = 4'000'000});
        EXPECT_TRUE(s.run());
        all_whole(s);
        EXPECT_EQ(s.events.size(), with ? 1u : 0u);
        for (const auto& event : s.events) EXPECT_EQ(event.kind, SenderEvent::Kind::Aside);
        Instant last{};
        for (const auto& node : s.nodes)
            if (!node->aside) last = std::max(last, node->finished);
        return std::chrono::duration<double>(last.time_since_epoch()).count();
    };
    EXPECT_LT(seconds(true), seconds(false) * 1.1);
}

TEST(MulticastSession, a_disk_that_is_somewhat_slower_slows_the_session_and_a_much_slower_one_leaves_it) {
    Simulation s({.chunks = 200});
    s.add({});
    s.add({.disk = 3'500'000});
    ASSERT_TRUE(s.run());
    all_whole(s);
    EXPECT_TRUE(s.events.empty());
    EXPECT_LT(s.wire_factor(), 1.5);
    for (std::uint64_t seed = 1; seed <= 8; ++seed) {
        Simulation slow({.chunks = 200, .seed = seed});
        slow.add({});
        slow.add({});
        slow.add({.disk = 500'000});
        ASSERT_TRUE(slow.run());
        all_whole(slow);
        ASSERT_EQ(slow.events.size(), 1u) << seed;
        EXPECT_EQ(slow.events[0].kind, SenderEvent::Kind::AsideDisk);
    }
}

TEST(MulticastSession, where_all_disks_are_slow_the_session_slows_to_them_and_nobody_leaves_it) {
    Simulation s({.chunks = 60});
    for (unsigned i = 0; i < 4; ++i) s.add({.disk = 600'000});
    ASSERT_TRUE(s.run());
    all_whole(s);
    EXPECT_TRUE(s.events.empty()) << "an eighth of the ceiling, but they are alike";
    EXPECT_LT(s.seconds(), static_cast<double>(s.image_bytes()) / 600'000 * 2);
}

TEST(MulticastSession, one_that_hears_nothing_knows_it_after_three_seconds_and_is_forgotten) {
    Simulation s({.chunks = 300});
    s.add({});
    auto& deaf = s.add({});
    deaf.listening = false;
    ASSERT_TRUE(s.run([&] { return s.now > Instant(3500ms); }));
    EXPECT_FALSE(deaf.receiver->hears(s.now));
    EXPECT_TRUE(s.nodes[0]->receiver->hears(s.now));
    ASSERT_TRUE(s.run());
    ASSERT_EQ(s.events.size(), 1u);
    EXPECT_EQ(s.events[0].kind, SenderEvent::Kind::Gone);
    all_whole(s);
}

TEST(MulticastSession, a_chunk_that_cannot_be_read_is_named_and_the_rest_goes_on) {
    Simulation s({.chunks = 20});
    s.unreadable = {7};
    for (unsigned i = 0; i < 3; ++i) s.add({.loss = 0.02});
    ASSERT_TRUE(s.run());
    ASSERT_FALSE(s.events.empty());
    EXPECT_EQ(s.events[0].kind, SenderEvent::Kind::Unreadable);
    EXPECT_EQ(s.events[0].chunk, 7u);
    for (const auto& node : s.nodes) {
        EXPECT_EQ(node->receiver->lacking(), 1u);
        EXPECT_TRUE(node->disk[7].empty());
    }
}

TEST(MulticastSession, little_memory_makes_more_rounds_and_no_more) {
    Simulation s({.chunks = 60, .seed = 9, .memory = 350'000});
    for (unsigned i = 0; i < 6; ++i) s.add({.loss = 0.08, .delay = 40ms});
    ASSERT_TRUE(s.run());
    all_whole(s);
    std::uint64_t given_up = 0;
    for (const auto& node : s.nodes) given_up += node->receiver->counts().given_up;
    EXPECT_GT(given_up, 0u);
    EXPECT_GT(s.sender->round(), 1u);
}

TEST(MulticastSession, finds_the_speed_of_a_line_that_is_narrower_than_it_thought) {
    Simulation s({.chunks = 600, .bits = 0, .adaptive = true, .line = 30'000'000});
    for (unsigned i = 0; i < 8; ++i) s.add({.loss = 0.01});
    ASSERT_TRUE(s.run());
    all_whole(s);
    EXPECT_LT(s.seconds(), at_ceiling(s, 30'000'000) * 1.4);
    EXPECT_LT(s.wire_factor(), 1.4);
    EXPECT_TRUE(s.events.empty());
}

TEST(MulticastSession, one_receivers_own_loss_does_not_slow_an_adaptive_session) {
    Simulation s({.chunks = 400, .bits = 60'000'000, .adaptive = true});
    for (unsigned i = 0; i < 8; ++i) s.add({.loss = i == 0 ? 0.1 : 0.03});
    ASSERT_TRUE(s.run());
    all_whole(s);
    EXPECT_LT(s.seconds(), at_ceiling(s, 60'000'000) * 1.45);
}

TEST(MulticastSession, a_throttle_holds_from_one_moment_to_the_next) {
    Simulation s({.chunks = 200, .bits = 40'000'000});
    s.add({});
    std::uint64_t bits = 0;
    s.on_wire = [&](const Bytes& packet) { bits += (packet.size() + 28) * 8; };
    ASSERT_TRUE(s.run([&] { return s.now >= Instant(1s); }));
    EXPECT_NEAR(static_cast<double>(bits), 40e6, 2e6);
    s.sender->set_ceiling(10'000'000);
    bits = 0;
    ASSERT_TRUE(s.run([&] { return s.now >= Instant(3s); }));
    EXPECT_NEAR(static_cast<double>(bits), 20e6, 1e6);
    s.sender->pause(true, s.now);
    bits = 0;
    ASSERT_TRUE(s.run([&] { return s.now >= Instant(4s); }));
    EXPECT_LT(bits, 20000u) << "a SYNC now and then";
    EXPECT_TRUE(s.nodes[0]->receiver->hears(s.now));
}

}  // namespace
}  // namespace slipway::multicast
