// SPDX-License-Identifier: GPL-3.0-or-later
// A session and a TCP over one line: each has its part of it.
#include <gtest/gtest.h>

#include "imagestore/multicast/test/simulator.hpp"

namespace slipway::multicast {
namespace {

using namespace test;

struct Line {
    std::uint64_t bits = 0;
    std::size_t queue = 0;
    std::chrono::microseconds delay{};  // one way
};
struct Parts {
    double ours = 0, tcp = 0;  // of the line
};

// From the tenth second on, when both have found their way, to the fortieth.
Parts parts_of(const Line& line, unsigned receivers, double loss, std::uint64_t seed) {
    Simulation s({.chunks = static_cast<std::uint32_t>(line.bits / 28'000),
                  .bits = 0,
                  .adaptive = true,
                  .line = line.bits,
                  .line_queue = line.queue,
                  .seed = seed});
    for (unsigned i = 0; i < receivers; ++i) s.add({.loss = loss, .delay = line.delay});
    s.rival = std::make_unique<TcpFlow>(line.delay);
    EXPECT_TRUE(s.run([&] { return s.now >= Instant(10s); }));
    const auto ours = s.sender->counts().bytes, tcp = s.rival->bytes(), events = s.rival->events;
    EXPECT_TRUE(s.run([&] { return s.now >= Instant(40s); }));
    EXPECT_GE(s.now, Instant(40s)) << "the image was too small";
    const auto part = [&](std::uint64_t bytes) {
        return static_cast<double>(bytes) * 8 / 30 / static_cast<double>(line.bits);
    };
    const Parts parts{part(s.sender->counts().bytes - ours), part(s.rival->bytes() - tcp)};
    std::printf(
        "%2u receivers, %.0f %% loss, %.0f Mbit/s, a queue of %.0f ms: ours %.2f, TCP %.2f of the line, which it "
        "filled "
        "%.1f times a second\n",
        receivers, loss * 100, static_cast<double>(line.bits) / 1e6,
        static_cast<double>(line.queue) * 8e3 / static_cast<double>(line.bits), parts.ours, parts.tcp,
        static_cast<double>(s.rival->events - events) / 30);
    return parts;
}

void expect_fair(const Parts& parts) {
    EXPECT_GT(parts.ours + parts.tcp, 0.85);
    EXPECT_GT(parts.ours, 0.28);
    EXPECT_GT(parts.tcp, 0.28);
}

TEST(MulticastFriendly, a_session_and_a_tcp_over_one_line_each_have_a_fair_part) {
    for (const Line& line : {Line{20'000'000, 125'000, 1ms}, {20'000'000, 40'000, 5ms}, {40'000'000, 250'000, 1ms}})
        for (const unsigned receivers : {1u, 2u, 8u}) expect_fair(parts_of(line, receivers, 0, 7));
}

TEST(MulticastFriendly, what_each_loses_by_itself_takes_nothing_from_its_part) {
    for (const double loss : {0.01, 0.05}) expect_fair(parts_of({20'000'000, 125'000, 1ms}, 32, loss, 3));
}

TEST(MulticastFriendly, what_each_loses_by_itself_does_not_slow_it) {
    double lossless = 0;
    for (const double loss : {0.0, 0.05}) {
        Simulation s({.chunks = 160, .bits = 40'000'000, .adaptive = true, .seed = 11});
        for (unsigned i = 0; i < 32; ++i) s.add({.loss = loss, .loss_back = loss});
        ASSERT_TRUE(s.run());
        if (loss == 0) lossless = s.seconds();
        EXPECT_EQ(s.sender->rate(), 40'000'000u) << "its ceiling";
        EXPECT_LT(s.seconds(), lossless * 1.4);
    }
}

}  // namespace
}  // namespace slipway::multicast
