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
        EXPECT_LT(seconds(from, from + 4000ms), without * 1.3);
}

}  // namespace
}  // namespace slipway::multicast
