// SPDX-License-Identifier: GPL-3.0-or-later
// A session's thread and those who look after it.
#include "imagestore/multicast/sending.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <future>

namespace slipway::multicast {
namespace {

using namespace std::chrono_literals;

const IpAddress kLoopback = *IpAddress::parse("127.0.0.1");

Sending::Options options_of(std::uint64_t bits) {
    Sending::Options o;
    o.session.sender.session = 5;
    o.session.sender.chunks = 8;
    o.session.sender.pace = {bits, false, 0};
    o.group = {*IpAddress::parse("239.78.0.1"), static_cast<std::uint16_t>(20000 + ::getpid() % 20000)};
    o.on = segment_of(kLoopback).value();
    return o;
}

TEST(Sending, one_whose_store_does_not_answer_holds_up_nobody_who_looks_after_it) {
    std::promise<void> stuck, answer;
    auto answered = answer.get_future().share();
    std::atomic<int> reads{0};
    auto sending = std::move(Sending::start(
                                 options_of(40'000'000),
                                 [&, answered](std::uint32_t) -> Result<Bytes> {
                                     if (reads++ == 0) stuck.set_value();
                                     answered.wait();
                                     return Bytes(60'000);
                                 },
                                 [] { return Key{}; })
                                 .value());
    EXPECT_EQ(sending->pulse().state, SessionState::Waiting);
    EXPECT_EQ(sending->pulse().listeners, 0u);
    (void)sending->join("a", std::vector<bool>(8, true));
    stuck.get_future().wait();
    auto looks = std::async(std::launch::async, [&] {
        sending->set_ceiling(7'000'000);
        sending->expect(3);
        return sending->pulse();
    });
    const auto at_once = looks.wait_for(10s);
    EXPECT_EQ(at_once, std::future_status::ready);
    answer.set_value();
    EXPECT_EQ(looks.get().listeners, 1u);
    const auto end = Instant::clock::now() + 10s;
    while (sending->look().rate != 7'000'000 && Instant::clock::now() < end) std::this_thread::yield();
    EXPECT_EQ(sending->look().rate, 7'000'000u) << "the order was carried out when it could be";
}

}  // namespace
}  // namespace slipway::multicast
