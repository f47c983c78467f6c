// SPDX-License-Identifier: GPL-3.0-or-later
// The listener on loopback. Broadcast and interfaces are tested by the pxe room in the lab network.
#include <thread>

#include <poll.h>

#include <gtest/gtest.h>
#include <boost/asio/post.hpp>

#include "dhcp-helper/errors.hpp"
#include "dhcp-helper/listener.hpp"
#include "lib/base/log.hpp"

using namespace slipway;
using namespace slipway::dhcp;

TEST(DhcpListener, answers_requests_and_only_those) {
    boost::asio::io_context io;
    ListenerOptions options;
    options.address = *Ipv4Address::parse("127.0.0.1");
    options.port = 0;
    options.answer_source = true;
    options.handler = [](const Arrival& a) {
        auto reply = reply_to(a.message, MessageType::Ack);
        reply.server = a.local;
        return std::optional(reply);
    };
    auto listener = Listener::create(io, std::move(options)).value();
    std::thread thread([&] { io.run(); });
    auto socket = UdpPort::open({}).value();
    UdpEndpoint to{*Ipv4Address::parse("127.0.0.1"), listener.port()};
    Message m;
    m.set_type(MessageType::Request);
    auto reply = m, token_ring = m;
    reply.op = Op::Reply;
    token_ring.hardware_type = 6;
    m.xid = 7;
    ASSERT_TRUE(socket.send(as_bytes("garbage"), to).ok());
    ASSERT_TRUE(socket.send(encode_message(reply), to).ok());
    ASSERT_TRUE(socket.send(encode_message(token_ring), to).ok());
    ASSERT_TRUE(socket.send(encode_message(m), to).ok());
    pollfd p{socket.fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&p, 1, 3000), 1);
    auto answer = parse_message((*socket.receive())->data).value();
    EXPECT_EQ(answer.xid, 7u);
    EXPECT_EQ(answer.type(), MessageType::Ack);
    EXPECT_EQ(answer.server.text(), "127.0.0.1");
    boost::asio::post(io, [&] { listener.stop(); });
    thread.join();
}

TEST(DhcpListener, a_flood_leaves_others_of_its_thread_their_turn) {
    constexpr unsigned kSent = 100;  // all fit a socket's default buffer
    boost::asio::io_context io;
    unsigned handled = 0, at_turn = 0;
    ListenerOptions options;
    options.address = *Ipv4Address::parse("127.0.0.1");
    options.port = 0;
    options.handler = [&](const Arrival&) {
        // What waits since the first datagram.
        if (handled++ == 0) boost::asio::post(io, [&] { at_turn = handled; });
        if (handled == kSent) io.stop();
        return std::optional<Message>();
    };
    auto listener = Listener::create(io, std::move(options)).value();
    auto socket = UdpPort::open({}).value();
    Message m;
    m.set_type(MessageType::Discover);
    for (unsigned i = 0; i < kSent; ++i) {
        m.hardware[5] = std::byte{static_cast<unsigned char>(i)};
        ASSERT_TRUE(socket.send(encode_message(m), {*Ipv4Address::parse("127.0.0.1"), listener.port()}).ok());
    }
    io.run_for(std::chrono::seconds(20));
    EXPECT_EQ(handled, kSent);
    EXPECT_GT(at_turn, 0u);
    EXPECT_LE(at_turn, kSent / 2);
}

TEST(DhcpListener, a_missing_interface_is_named) {
    boost::asio::io_context io;
    auto listener = Listener::create(io, {.device = "nosuch0", .port = 0});
    ASSERT_FALSE(listener.ok());
    EXPECT_TRUE(listener.error().is(errors::kListen));
    EXPECT_NE(listener.error().describe().find("nosuch0"), std::string::npos);
}

namespace {

Message message_of(std::uint8_t client) {
    Message m;
    m.hardware_type = 1;
    m.hardware_length = 6;
    m.hardware[0] = std::byte{2};
    m.hardware[5] = std::byte{client};
    return m;
}

}  // namespace

TEST(ClientLimits, one_client_that_floods_is_limited_and_the_others_are_not) {
    log::set_threshold(log::Level::Error);
    FloodGuard guard(kClientLimits);
    Instant now{};
    int admitted_of_1000 = 0;
    for (int i = 0; i < 1000; ++i) admitted_of_1000 += admitted(guard, message_of(1), {}, now);
    EXPECT_EQ(admitted_of_1000, 40);
    EXPECT_TRUE(admitted(guard, message_of(2), {}, now));
    EXPECT_TRUE(admitted(guard, message_of(1), {}, now + std::chrono::seconds(1)));
    log::set_threshold(log::Level::Info);
}

// Whoever makes up packets with a victim's hardware address, from elsewhere, uses up a share that is not the victim's.
TEST(ClientLimits, a_forger_on_another_way_leaves_the_clients_own_share_alone) {
    FloodGuard guard({.rate = 1, .burst = 3, .known = 100});
    auto message = message_of(1);
    Instant now{std::chrono::hours(1)};
    Datagram own{.from = {{}, 68}, .interface = 2};
    auto other_relay = message;
    other_relay.relay = *Ipv4Address::parse("10.8.0.1");
    Datagram relayed{.from = {*Ipv4Address::parse("10.8.0.1"), 67}, .interface = 2};
    Datagram other_interface{.from = {{}, 68}, .interface = 3};
    for (int i = 0; i < 50; ++i) {
        (void)admitted(guard, other_relay, relayed, now);
        (void)admitted(guard, message, other_interface, now);
    }
    for (int i = 0; i < 3; ++i) EXPECT_TRUE(admitted(guard, message, own, now));
    EXPECT_FALSE(admitted(guard, message, own, now));
}
