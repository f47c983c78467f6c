// SPDX-License-Identifier: GPL-3.0-or-later
// The real server on loopback, asked by datagrams of our own.
#include "tftp/test/fixture.hpp"

using namespace slipway;
using namespace slipway::tftp;
using test::TftpServer;

TEST_F(TftpServer, nothing_outside_the_root_is_served) {
    for (const char* name : {"../secret", "sub/../../secret", "/../secret", "link", "up/secret", "..\\secret",
                             "sub\\empty", "fifo", "sub", "kernel/x", "a\nb", "./../secret", "sub/./../../secret"})
        EXPECT_EQ(refused(name), ErrorCode::AccessViolation) << name;
    for (const char* name : {"nothing", "sub/nothing", "/", "secret", "%2e%2e/secret", "..%2fsecret", "%00"})
        EXPECT_EQ(refused(name), ErrorCode::FileNotFound) << name;
    EXPECT_EQ(refused(std::string(300, 'n')), ErrorCode::FileNotFound);
}

TEST_F(TftpServer, an_absolute_name_is_below_the_root) {
    EXPECT_EQ(refused("/etc/passwd"), ErrorCode::FileNotFound);
    EXPECT_TRUE(std::holds_alternative<Data>(ask(Request{.file = "//kernel", .mode = "octet"})));
}

TEST_F(TftpServer, writing_and_other_modes_are_refused) {
    EXPECT_EQ(refused("x", true), ErrorCode::AccessViolation);
    auto answer = ask(Request{.file = "kernel", .mode = "mail"});
    EXPECT_EQ(std::get<ErrorPacket>(answer).code, ErrorCode::NotDefined);
}

TEST_F(TftpServer, netascii_ends_lines_with_two_characters) {
    auto answer = ask(Request{.file = "text", .mode = "netascii"});
    EXPECT_EQ(as_text(std::get<Data>(answer).payload).substr(0, 20),
              std::string_view("line 0\r\0\r\nline 1\r\nli", 20));
}

// From an address that may be a lie: an answer is never longer than its request, and comes once for each.
TEST_F(TftpServer, answers_are_no_longer_than_requests_until_acknowledged) {
    auto answer_to = [&](UdpPort& socket, const Bytes& request) {
        EXPECT_TRUE(socket.send(request, at()).ok());
        return next(socket);
    };
    for (const Request& r :
         {Request{.file = "kernel", .mode = "octet", .options = {{"tsize", "0"}}},
          Request{.file = "kernel", .mode = "octet", .options = {{"blksize", "1468"}, {"windowsize", "16"}}},
          Request{.file = "n", .mode = "octet"}, Request{.file = "kernel", .mode = "x"},
          Request{.write = true, .file = "kernel", .mode = "octet", .options = {{"tsize", "9"}}}}) {
        auto socket = UdpPort::open({}).value();
        auto request = encode_packet(r);
        auto answer = answer_to(socket, request);
        ASSERT_TRUE(answer.ok()) << r.file;
        EXPECT_LE(answer->data.size(), request.size()) << r.file;
        EXPECT_FALSE(next(socket, 300).ok());  // nothing more, unasked
    }
    // RFC 1350 has nothing shorter than a block for this one: one block, and no second by the timer (of 1 s).
    auto socket = UdpPort::open({}).value();
    auto answer = answer_to(socket, encode_packet(Request{.file = "kernel", .mode = "octet"}));
    EXPECT_EQ(answer->data.size(), 516u);
    EXPECT_FALSE(next(socket, 2500).ok());
}

TEST_F(TftpServer, a_request_heard_again_is_answered_by_the_same_transfer) {
    auto socket = UdpPort::open({}).value();
    auto request = encode_packet(Request{.file = "kernel", .mode = "octet", .options = {{"blksize", "1000"}}});
    ASSERT_TRUE(socket.send(request, at()).ok());
    auto first = next(socket);
    ASSERT_TRUE(socket.send(request, at()).ok());
    auto again = next(socket);
    ASSERT_TRUE(first.ok() && again.ok());
    EXPECT_EQ(first->from, again->from);
    EXPECT_EQ(first->data, again->data);
}

TEST_F(TftpServer, others_cannot_speak_for_a_client) {
    auto socket = UdpPort::open({}).value(), stranger = UdpPort::open({}).value();
    auto request = encode_packet(Request{.file = "kernel", .mode = "octet", .options = {{"blksize", "1000"}}});
    ASSERT_TRUE(socket.send(request, at()).ok());
    auto answer = next(socket);
    ASSERT_TRUE(answer.ok());
    (void)stranger.send(encode_packet(ErrorPacket{ErrorCode::NotDefined, "away"}), answer->from).ok();
    ASSERT_TRUE(socket.send(encode_packet(Ack{0}), answer->from).ok());
    auto data = next(socket);
    ASSERT_TRUE(data.ok());
    EXPECT_EQ(data->data.size(), 1004u);
}

TEST_F(TftpServer, one_address_that_floods_is_limited_and_its_transfers_go_on) {
    ServerOptions options;
    options.flood = {.rate = 0.001, .burst = 3};
    restart(std::move(options));
    auto socket = UdpPort::open({}).value();
    auto request = encode_packet(Request{.file = "kernel", .mode = "octet", .options = {{"blksize", "1000"}}});
    ASSERT_TRUE(socket.send(request, at()).ok());
    auto answer = next(socket);
    ASSERT_TRUE(answer.ok());
    for (int i = 0; i < 2; ++i) EXPECT_EQ(refused("nothing"), ErrorCode::FileNotFound);
    auto flood = UdpPort::open({}).value();
    for (int i = 0; i < 50; ++i)
        ASSERT_TRUE(flood.send(encode_packet(Request{.file = "nothing", .mode = "octet"}), at()).ok());
    ASSERT_TRUE(socket.send(encode_packet(Ack{0}), answer->from).ok());
    EXPECT_TRUE(next(socket).ok());
    EXPECT_FALSE(next(flood, 200).ok());
    // Another address is served as before.
    auto other = UdpPort::open({.local = {*Ipv4Address::parse("127.0.0.2"), 0}}).value();
    ASSERT_TRUE(other.send(request, at()).ok());
    EXPECT_TRUE(next(other).ok());
}

TEST_F(TftpServer, at_the_limit_a_client_takes_the_place_of_one_that_never_answered) {
    ServerOptions options;
    options.max_sessions = 3;
    restart(std::move(options));
    auto request = encode_packet(Request{.file = "kernel", .mode = "octet", .options = {{"blksize", "1000"}}});
    auto honest = UdpPort::open({}).value();
    ASSERT_TRUE(honest.send(request, at()).ok());
    auto answer = next(honest);
    ASSERT_TRUE(honest.send(encode_packet(Ack{0}), answer->from).ok());
    ASSERT_TRUE(next(honest).ok());
    for (int i = 0; i < 10; ++i) {
        auto silent = UdpPort::open({}).value();
        ASSERT_TRUE(silent.send(request, at()).ok());
        EXPECT_TRUE(next(silent).ok()) << i;
    }
    ASSERT_TRUE(honest.send(encode_packet(Ack{1}), answer->from).ok());
    EXPECT_TRUE(next(honest).ok());
    auto ended = wait_for_reports(8);
    for (const auto& r : ended) EXPECT_NE(r.client.port, honest.port());
}

TEST_F(TftpServer, a_transfer_says_how_far_it_is_and_its_report_the_size) {
    ServerOptions options;
    options.progress_pause = std::chrono::milliseconds(0);
    std::mutex guard;
    std::vector<TransferReport> seen;
    options.on_progress = [&](const TransferReport& r) {
        std::lock_guard lock(guard);
        seen.push_back(r);
    };
    restart(std::move(options));
    auto socket = UdpPort::open({}).value();
    auto request = encode_packet(Request{.file = "kernel", .mode = "octet", .options = {{"blksize", "1000"}}});
    ASSERT_TRUE(socket.send(request, at()).ok());
    auto answer = next(socket);
    for (std::uint16_t block = 0; block < 3; ++block) {
        ASSERT_TRUE(socket.send(encode_packet(Ack{block}), answer->from).ok());
        ASSERT_TRUE(next(socket).ok());
    }
    ASSERT_TRUE(socket.send(encode_packet(ErrorPacket{ErrorCode::NotDefined, "enough"}), answer->from).ok());
    auto ended = wait_for_reports(1)[0];
    EXPECT_EQ(ended.size, content.size());
    EXPECT_EQ(ended.bytes, 2000u);
    EXPECT_EQ(ended.blocks, 2u);
    EXPECT_EQ(ended.losses, 0u);
    std::lock_guard lock(guard);
    ASSERT_EQ(seen.size(), 3u);
    EXPECT_EQ(seen[2].bytes, 2000u);
    EXPECT_EQ(seen[2].failure, "");
}

TEST_F(TftpServer, a_hot_file_is_read_from_disk_once) {
    auto cache = std::make_shared<HotCache>();
    ServerOptions options;
    options.cache = cache;
    restart(std::move(options));
    auto pieces = (content.size() + HotCache::kPiece - 1) / HotCache::kPiece;
    for (int i = 0; i < 2; ++i) {
        auto socket = UdpPort::open({}).value();
        Request request{.file = "kernel", .mode = "octet", .options = {{"blksize", "1468"}}};
        ASSERT_TRUE(socket.send(encode_packet(request), at()).ok());
        auto answer = next(socket);
        std::string got;
        for (std::uint16_t block = 0;; ++block) {
            ASSERT_TRUE(answer.ok());
            ASSERT_TRUE(socket.send(encode_packet(Ack{block}), answer->from).ok());
            if (got.size() == content.size()) break;
            answer = next(socket);
            ASSERT_TRUE(answer.ok());
            got += as_text(std::get<Data>(*parse_packet(answer->data)).payload);
        }
        EXPECT_EQ(got, content);
    }
    (void)wait_for_reports(2);
    halt();
    EXPECT_EQ(cache->reads(), pieces);
}

TEST_F(TftpServer, a_size_probe_ended_with_error_8_leaves_nothing) {
    auto socket = UdpPort::open({}).value();
    UdpEndpoint server_at{*Ipv4Address::parse("127.0.0.1"), server->port()};
    Request request{.file = "kernel", .mode = "octet", .options = {{"tsize", "0"}, {"blksize", "1468"}}};
    ASSERT_TRUE(socket.send(encode_packet(request), server_at).ok());
    pollfd p{socket.fd(), POLLIN, 0};
    ASSERT_EQ(::poll(&p, 1, 3000), 1);
    auto answer = std::move(**socket.receive());
    EXPECT_NE(answer.from.port, server->port());  // a transfer has its own
    EXPECT_EQ(std::get<OptionAck>(*parse_packet(answer.data)).options,
              (OptionList{{"blksize", "1468"}, {"tsize", "400000"}}));
    ASSERT_TRUE(socket.send(encode_packet(ErrorPacket{ErrorCode::OptionRefused, "User aborted"}), answer.from).ok());
    // The same port asks again at once, as EDK2 does, and is answered.
    ASSERT_TRUE(socket.send(encode_packet(request), server_at).ok());
    ASSERT_EQ(::poll(&p, 1, 3000), 1);
    EXPECT_TRUE(std::holds_alternative<OptionAck>(*parse_packet((*socket.receive())->data)));
}

TEST_F(TftpServer, a_busy_port_is_named) {
    auto second = Server::create(io, {.local = {*Ipv4Address::parse("127.0.0.1"), server->port()}});
    ASSERT_FALSE(second.ok());
    EXPECT_TRUE(second.error().is(errors::kListen));
}
