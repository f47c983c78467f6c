// SPDX-License-Identifier: GPL-3.0-or-later
// Machines that are slow, or stand still for seconds, as virtual ones on a busy host do.
#include <gtest/gtest.h>

#include "imagestore/multicast/test/rack.hpp"

namespace slipway::multicast {
namespace {

using namespace test;

constexpr PaceOptions at(std::uint64_t bits) { return {bits, false, 20'000'000}; }

void all_by_multicast(const Rack& rack) {
    for (const auto& m : rack.machines) {
        EXPECT_FALSE(m->by_unicast()) << m->name << " is sent away, lacking " << m->lacking();
        EXPECT_TRUE(m->whole()) << m->name;
    }
}
double last_of(const Rack& rack, const Machine* but = nullptr) {
    Instant last{};
    for (const auto& m : rack.machines)
        if (m.get() != but) last = std::max(last, m->finished);
    return rack.seconds(last);
}

TEST(MulticastSlow, one_that_is_slower_than_the_line_reports_all_the_same_and_gets_all) {
    // 280 us from packet to packet, and 400 for each: what it has not read never ends while the sender sends.
    Rack rack({.chunks = 400, .pace = at(40'000'000)});
    auto& slow = rack.add({.packet = 400us});
    ASSERT_TRUE(rack.run());
    all_by_multicast(rack);
    EXPECT_GT(slow.overrun, 1000u);
    EXPECT_GT(rack.session->sender().counts().reports, 50u);
}

TEST(MulticastSlow, one_that_stands_still_for_seconds_does_not_take_it_for_silence) {
    auto seconds = [](std::chrono::milliseconds from, std::chrono::milliseconds to) {
        Rack rack({.chunks = 80, .pace = at(8'000'000)});
        for (int i = 0; i < 3; ++i) rack.add({});
        auto& victim = rack.add({.stalls = {{from, to}}});
        EXPECT_TRUE(rack.run());
        all_by_multicast(rack);
        EXPECT_EQ(victim.overrun > 0, to > from) << "its ring holds less than comes in four seconds";
        EXPECT_LT(rack.copies(), 1.6);
        return last_of(rack, &victim);
    };
    const auto without = seconds(0ms, 0ms);
    // In some of these moments it has just read all that had come.
    for (auto from = 2000ms; from < 2006ms; from += 1ms)
        EXPECT_LT(seconds(from, from + 4000ms), without * 1.1) << "the others do not wait for it";
}

TEST(MulticastSlow, one_that_was_given_up_takes_part_again_when_it_is_heard) {
    for (const bool alone : {false, true}) {
        Rack rack({.chunks = 120, .pace = at(8'000'000)});
        for (int i = 0; i < 3 && !alone; ++i) rack.add({});
        auto& victim = rack.add({.stalls = {{2000ms, 10'000ms}}});
        ASSERT_TRUE(rack.run());
        all_by_multicast(rack);
        EXPECT_EQ(victim.advice.back(), Advice::Done);
        EXPECT_LE(rack.session->sender().counts().forged, 3u) << "its reports count again";
        EXPECT_LT(rack.copies(), 1.9) << "what it missed, and no more";
        EXPECT_LT(alone ? 0 : last_of(rack, &victim), 12.0 * 1.2);
    }
}

TEST(MulticastSlow, one_whose_calls_take_long_has_what_it_lacks_in_a_later_round) {
    Rack rack({.chunks = 60, .pace = at(8'000'000), .seed = 3});
    for (int i = 0; i < 3; ++i) rack.add({.loss = 0.02});
    auto& slow = rack.add({.call = 9000ms, .loss = 0.3});
    ASSERT_TRUE(rack.run());
    all_by_multicast(rack);
    EXPECT_LT(last_of(rack, &slow), 6.0 + 6.0) << "the others wait five seconds for it at most";
}

TEST(MulticastSlow, machines_that_share_too_few_processors_all_get_it_by_one_session) {
    for (std::uint64_t seed : {1u, 2u}) {
        Rack rack({.chunks = 200, .pace = at(6'000'000), .seed = seed});
        Random random(seed);
        for (int i = 0; i < 4; ++i) {
            // Each has its processor for one to four seconds, then not for one to seven.
            Build build{.packet = 300us, .call = std::chrono::milliseconds(200 + random.below(3000))};
            for (auto from = 1000ms + std::chrono::milliseconds(random.below(4000)); from < 120'000ms;) {
                const auto to = from + 1000ms + std::chrono::milliseconds(random.below(6000));
                build.stalls.push_back({from, to});
                from = to + 1000ms + std::chrono::milliseconds(random.below(3000));
            }
            rack.add(build);
        }
        ASSERT_TRUE(rack.run()) << "seed " << seed;
        all_by_multicast(rack);
        std::uint64_t overrun = 0;
        for (const auto& m : rack.machines) overrun += m->overrun;
        EXPECT_GT(overrun, 0u);
        std::printf("seed %llu: %.1f s, %.2f copies, %u rounds, %llu datagrams overran\n",
                    static_cast<unsigned long long>(seed), last_of(rack), rack.copies(), rack.session->sender().round(),
                    static_cast<unsigned long long>(overrun));
        EXPECT_LT(rack.copies(), 2.0) << "four machines by unicast would be four";
    }
}

TEST(MulticastSlow, where_most_are_slower_than_the_line_the_rate_follows_them_and_nobody_leaves) {
    for (std::uint64_t seed : {1u, 2u}) {
        // Three with a processor for 10 Mbit/s, two for any rate: no packet is missed by nearly all.
        Rack rack({.chunks = 400, .pace = {100'000'000, true, 20'000'000}, .seed = seed});
        Random random(seed);
        for (int i = 0; i < 5; ++i)
            rack.add(i < 2 ? Build{}
                           : Build{.packet = std::chrono::microseconds(1000 + random.below(300)),
                                   .holds = 100 + random.below(200)});
        ASSERT_TRUE(rack.run());
        all_by_multicast(rack);
        std::printf("seed %llu: %.1f s, %.2f copies\n", static_cast<unsigned long long>(seed), last_of(rack),
                    rack.copies());
        EXPECT_LT(rack.copies(), 1.9);
    }
}

TEST(MulticastSlow, what_waits_in_deep_buffers_is_no_word_that_the_line_carries_more) {
    for (const unsigned machines : {1u, 2u, 5u}) {
        // A processor for 28 Mbit/s, and 8 MiB of buffer: what it tells of was sent seconds ago, and nothing of that is
        // lost.
        Rack rack({.chunks = 1000, .pace = {0, true, 20'000'000}});
        for (unsigned i = 0; i < machines; ++i) rack.add({.packet = 400us, .holds = 6000});
        ASSERT_TRUE(rack.run());
        all_by_multicast(rack);
        std::printf("%u: %.1f s, %.2f copies\n", machines, last_of(rack), rack.copies());
        EXPECT_LT(rack.copies(), 2.0) << machines;
        EXPECT_LT(last_of(rack), 28.5 * 1.6) << machines;
    }
}

TEST(MulticastSlow, disks_slower_than_the_line_slow_the_sender_before_anything_is_left_out) {
    for (const std::uint64_t seed : {1u, 2u}) {
        // The least budget of memory; disks for 8 to 13 MB/s, of a line for 100 Mbit/s and more.
        Rack rack({.chunks = 300, .chunk_bytes = 300'000, .pace = {0, true, 20'000'000}, .seed = seed});
        Random random(seed);
        for (int i = 0; i < 4; ++i) rack.add({.disk = 8'000'000 + random.below(5'000'000), .memory = 4u << 20});
        ASSERT_TRUE(rack.run());
        all_by_multicast(rack);
        std::printf("seed %llu: %.1f s, %.2f copies, %u rounds\n", static_cast<unsigned long long>(seed), last_of(rack),
                    rack.copies(), rack.session->sender().round());
        EXPECT_LT(rack.copies(), 1.15);
        EXPECT_EQ(rack.session->sender().round(), 1u) << "what waits for a disk at the end is not sent again";
        EXPECT_LT(last_of(rack), 90e6 / 8e6 * 1.1) << "the slowest disk's own time";
    }
}

TEST(MulticastSlow, a_disk_that_takes_less_than_a_chunk_between_two_reports_is_known_for_what_it_is) {
    for (const std::uint64_t bits : {32'000'000u, 38'000'000u}) {
        const auto seconds = [&](bool with) {
            Rack rack({.chunks = 60, .chunk_bytes = 1'000'000, .pace = at(bits)});
            for (int i = 0; i < 4; ++i) rack.add({.memory = 4u << 20});
            const auto* slow = with ? &rack.add({.disk = 1'150'000, .memory = 4u << 20}) : nullptr;
            EXPECT_TRUE(rack.run());
            if (slow) {
                EXPECT_TRUE(slow->by_unicast());
                EXPECT_EQ(rack.session->members().back().aside, AsideReason::Disk);
            }
            return last_of(rack, slow);
        };
        EXPECT_LT(seconds(true), seconds(false) * 1.1) << bits;
        Rack alone({.chunks = 30, .chunk_bytes = 1'000'000, .pace = at(bits)});
        alone.add({.disk = 1'150'000, .memory = 4u << 20});
        ASSERT_TRUE(alone.run());
        all_by_multicast(alone);
        std::printf("alone: %.1f s, %.2f copies\n", last_of(alone), alone.copies());
        EXPECT_LT(alone.copies(), 1.2);
        EXPECT_LT(last_of(alone), 30 / 1.15 * 1.1);
    }
}

TEST(MulticastSlow, one_that_is_moved_aside_learns_it_at_once_and_does_not_wait_for_the_others) {
    struct Took {
        double aside = 0, left = 0, fetched = 0, others = 0;
    };
    auto with_a_round_longer_by = [](std::chrono::seconds longer, std::uint64_t seed) {
        Took took;
        Machine* slow = nullptr;
        std::optional<Instant> aside;
        const auto look = [&](Rack& rack, Instant now) {
            const auto all = rack.session->members();
            if (!aside && all.back().aside != AsideReason::None) {
                aside = now;
                rack.session->pause(longer.count() > 0, now);
            } else if (aside && now >= *aside + longer) {
                rack.session->pause(false, now);
            }
            if (took.left == 0 && slow->ended()) took.left = rack.seconds(now);
        };
        Rack rack({.chunks = 300, .pace = at(20'000'000), .seed = seed, .each_tick = look});
        for (int i = 0; i < 5; ++i) rack.add({.loss = 0.01});
        slow = &rack.add({.bits = 2'000'000});
        EXPECT_TRUE(rack.run());
        EXPECT_TRUE(slow->by_unicast());
        EXPECT_EQ(slow->advice, std::vector{Advice::Unicast}) << "one call, and that was all";
        const auto shown = rack.session->members().back();
        EXPECT_EQ(shown.aside, AsideReason::Loss);
        EXPECT_GT(shown.view.loss, 0.5) << "for which it was moved aside";
        EXPECT_EQ(rack.session->sender().counts().forged, 0u) << "what it said before it knew was its own";
        EXPECT_LT(rack.copies(), 1.3);
        for (const auto& m : rack.machines) EXPECT_TRUE(m.get() == slow || m->whole()) << m->name;
        took.aside = rack.seconds(aside.value_or(Instant{}));
        took.fetched = rack.seconds(slow->fetched());
        took.others = last_of(rack, slow);
        return took;
    };
    for (const std::uint64_t seed : {1u, 2u, 3u}) {
        const auto usual = with_a_round_longer_by(0s, seed), longer = with_a_round_longer_by(20s, seed);
        std::printf(
            "seed %llu: aside at %.1f s, knew it %.0f ms later, had all at %.1f s; the others at %.1f and %.1f s\n",
            static_cast<unsigned long long>(seed), usual.aside, (usual.left - usual.aside) * 1000, usual.fetched,
            usual.others, longer.others);
        EXPECT_LT(usual.left - usual.aside, 0.6);
        EXPECT_GT(longer.others, usual.others + 15) << "the round ends much later";
        EXPECT_NEAR(longer.fetched, usual.fetched, 1) << "and it does not";
    }
}

TEST(MulticastSlow, one_that_is_sent_aside_by_another_receiver_asks_its_server_and_stays) {
    Rack rack({.chunks = 60, .pace = at(8'000'000)});
    for (int i = 0; i < 3; ++i) rack.add({});
    // It has the session's key, as all have: "numbers 1 and 2 leave".
    Seal session(key_for(9));
    std::uint64_t packets = 0;
    rack.on_wire = [&](const std::shared_ptr<const Bytes>& packet) {
        if (++packets % 100 != 0) return;
        ByteWriter writer;
        write_body(AsideBody{{1, 2}}, writer);
        // In the place of one of the sender's, a little before it.
        const Header header{PacketType::Aside, false, 0, 9, parse_header(*packet)->number};
        const auto forged = std::make_shared<const Bytes>(session.close(header, writer.view()));
        for (auto& m : rack.machines) m->arrive(forged, rack.now + 400us);
    };
    ASSERT_TRUE(rack.run());
    for (const auto& m : rack.machines) EXPECT_FALSE(m->by_unicast()) << m->name;
    EXPECT_GT(packets, 4000u);
    EXPECT_GE(rack.machines[0]->advice.size(), 3u) << "it asks";
    EXPECT_LE(rack.machines[0]->advice.size(), 6u) << "and not at each such word";
}

TEST(MulticastSlow, a_line_that_was_cut_and_mended_costs_no_multicast) {
    for (const unsigned of : {1u, 4u}) {  // of four machines: one's own line, or the server's
        for (const auto cut : {Stall{2000ms, 4500ms}, Stall{2000ms, 10'000ms}, Stall{2000ms, 20'000ms}}) {
            Rack rack({.chunks = 120, .pace = at(8'000'000)});
            for (unsigned i = 0; i < 4; ++i) rack.add(i < of ? Build{.cuts = {cut}} : Build{});
            ASSERT_TRUE(rack.run());
            all_by_multicast(rack);
            EXPECT_LT(rack.copies(), 1.9) << "what was missed, and no more";
        }
    }
}

TEST(MulticastSlow, one_that_hears_nothing_any_more_and_has_a_way_to_its_server_goes_by_unicast) {
    Rack rack({.chunks = 200, .pace = at(8'000'000)});
    rack.add({});
    auto& pruned = rack.add({});
    rack.options.each_tick = [&](Rack& r, Instant now) {
        if (now >= Instant(3000ms)) r.machines[1]->listen(false);  // as a switch that prunes does
    };
    ASSERT_TRUE(rack.run());
    EXPECT_TRUE(pruned.by_unicast());
    EXPECT_EQ(rack.session->members()[1].aside, AsideReason::Asked);
    EXPECT_EQ(pruned.advice, (std::vector{Advice::Listen, Advice::Unicast})) << "after three seconds, and three more";
}

TEST(MulticastSlow, one_that_dies_holds_nobody_up) {
    Rack rack({.chunks = 60, .pace = at(8'000'000)});
    for (int i = 0; i < 3; ++i) rack.add({});
    auto& dead = rack.add({.stalls = {{2000ms, 1'000'000ms}}, .dies = true});
    ASSERT_TRUE(rack.run());
    for (const auto& m : rack.machines) EXPECT_EQ(m->whole(), m.get() != &dead);
    EXPECT_LT(last_of(rack, &dead), 7.5);
    EXPECT_EQ(rack.session->members().back().aside, AsideReason::None) << "nobody has waited so long";
}

TEST(MulticastSlow, one_that_hears_the_session_and_nothing_of_it_is_sent_away) {
    for (const bool mute : {false, true}) {
        Rack rack({.chunks = 10, .pace = at(8'000'000), .limit = 60s});
        auto& deaf = rack.add({.hears_data = false, .mute = mute});
        ASSERT_TRUE(rack.run());
        EXPECT_TRUE(deaf.by_unicast());
        EXPECT_EQ(rack.session->members()[0].aside, mute ? AsideReason::Mute : AsideReason::Vain);
    }
}

TEST(MulticastSlow, where_no_reports_arrive_nothing_is_sent_at_a_guess_and_all_go_by_unicast) {
    for (const unsigned machines : {1u, 5u}) {
        Rack rack({.chunks = 400, .pace = {50'000'000, true, 20'000'000}});
        for (unsigned i = 0; i < machines; ++i) rack.add({.mute = true});
        ASSERT_TRUE(rack.run());
        for (const auto& m : rack.machines) {
            EXPECT_TRUE(m->by_unicast()) << m->name;
            EXPECT_GT(m->lacking(), 0u);
            EXPECT_LT(m->lacking(), 400u) << "what it heard it keeps";
        }
        for (const auto& m : rack.session->members()) EXPECT_EQ(m.aside, AsideReason::Mute);
        EXPECT_LT(rack.seconds(rack.now), 8) << "five seconds of silence, and the call";
    }
}

TEST(MulticastSlow, one_whose_reports_are_not_heard_gets_it_in_rounds) {
    Rack rack({.chunks = 100, .pace = at(8'000'000), .seed = 5});
    for (int i = 0; i < 2; ++i) rack.add({});
    rack.add({.loss = 0.003, .mute = true});
    ASSERT_TRUE(rack.run());
    all_by_multicast(rack);
    EXPECT_LT(rack.copies(), 2.5);
}

}  // namespace
}  // namespace slipway::multicast
