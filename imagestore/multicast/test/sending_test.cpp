// SPDX-License-Identifier: GPL-3.0-or-later
// A session's thread and those who look after it.
#include "imagestore/multicast/sending.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "imagestore/multicast/socket_address.hpp"

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

TEST(Sending, who_floods_its_port_stops_neither_the_session_nor_those_who_look_after_it) {
    auto sending = std::move(
        Sending::start(
            options_of(40'000'000), [](std::uint32_t) -> Result<Bytes> { return Bytes(60'000); }, [] { return Key{}; })
            .value());
    std::atomic<bool> ended{false};
    std::atomic<std::uint64_t> thrown{0};
    std::vector<std::thread> outsiders;
    for (int i = 0; i < 8; ++i)
        outsiders.emplace_back([&] {
            auto fd = udp_socket(true).value();
            const SocketAddress to(true, {kLoopback, sending->report_port()}, 0);
            // As of the machine below, but for the seal: it takes the longest to look at.
            const auto forged =
                Seal(Key{std::byte{9}}).close({PacketType::Report, false, 1, 5, 1'000'000}, Bytes(1300));
            while (!ended)
                thrown += ::sendto(fd.get(), forged.data(), forged.size(), 0, to.get(), to.size()) > 0 ? 1 : 0;
        });
    while (thrown < 10'000) std::this_thread::yield();
    // All calls and packets under the flood.
    const auto grant = sending->join("a", std::vector<bool>(8, true));
    const auto limit = Instant::clock::now() + 30s;
    for (auto counts = sending->look().counts;
         (counts.packets < 30 || counts.forged <= 1000) && Instant::clock::now() < limit;
         counts = sending->look().counts) {
    }
    EXPECT_GE(sending->look().counts.packets, 30u);
    EXPECT_GT(sending->look().counts.forged, 1000u);
    sending->leave(grant.number);
    ended = true;
    for (auto& o : outsiders) o.join();
}

}  // namespace
}  // namespace slipway::multicast
