// SPDX-License-Identifier: GPL-3.0-or-later
#include "tests/bench/storm/transfer.hpp"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>

#include "lib/base/clock.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"
#include "tests/bench/storm/segment.hpp"
#include "tftp/codec.hpp"

namespace slipway::storm {

using asio::ip::tcp;
using asio::ip::udp;

namespace {

asio::ip::address_v4 address_of(Ipv4Address a) { return asio::ip::address_v4(a.value); }

Error failed(std::string_view what, const boost::system::error_code& ec) {
    return make_error(errors::kBadValue, "{}: {}", what, ec.message());
}

// One datagram, or nothing within a second.
class Listener {
public:
    Listener(asio::io_context& io, udp::socket& socket) : timer_(io), socket_(socket) {}
    asio::awaitable<std::optional<ByteView>> next(udp::endpoint& from) {
        bool late = false;
        timer_.expires_after(std::chrono::seconds(1));
        timer_.async_wait([this, &late](const boost::system::error_code& ec) {
            if (ec) return;
            late = true;
            socket_.cancel();
        });
        auto [ec, size] = co_await socket_.async_receive_from(asio::buffer(space_), from, kAwait);
        if (timer_.cancel() == 0) late = true;
        if (ec) co_return std::nullopt;
        co_return ByteView(space_).first(size);
    }

private:
    Bytes space_ = Bytes(2048);
    asio::steady_timer timer_;
    udp::socket& socket_;
};

Bytes request_for(const std::string& file) {
    return tftp::encode_packet(
        tftp::Request{.file = file, .mode = "octet", .options = {{"tsize", "0"}, {"blksize", "1432"}}});
}

struct Receiving {
    std::uint64_t bytes = 0;
    std::uint16_t block = 0;
    std::size_t block_size = 512;
    bool over = false;
};

using Reply = std::optional<Bytes>;
// The answer to a packet; nothing to a repeated or foreign one.
Result<Reply> answer(Receiving& state, ByteView bytes) {
    auto packet = TRY(tftp::parse_packet(bytes));
    if (auto* error = std::get_if<tftp::ErrorPacket>(&packet))
        return make_error(errors::kBadValue, "the server says '{}'", printable(error->message));
    if (auto* ack = std::get_if<tftp::OptionAck>(&packet)) {
        if (state.block != 0) return Reply();
        for (const auto& row : tftp::kOptions)
            if (auto value = tftp::value_of(ack->options, row); value && row.option == tftp::Option::BlockSize)
                state.block_size = *value;
        return Reply(tftp::encode_packet(tftp::Ack{0}));
    }
    auto* data = std::get_if<tftp::Data>(&packet);
    if (!data) return Reply();
    if (data->block == state.block) return Reply(tftp::encode_packet(tftp::Ack{state.block}));  // our ACK was lost
    if (data->block != static_cast<std::uint16_t>(state.block + 1)) return Reply();
    ++state.block;
    state.bytes += data->payload.size();
    state.over = data->payload.size() < state.block_size;
    return Reply(tftp::encode_packet(tftp::Ack{state.block}));
}

struct Url {
    Ipv4Address host;
    std::uint16_t port = 80;
    std::string path;
};
std::optional<Url> parse_url(std::string_view text) {
    if (!text.starts_with("http://")) return std::nullopt;
    text.remove_prefix(7);
    auto slash = std::min(text.find('/'), text.size());
    auto colon = text.substr(0, slash).find(':');
    auto host = Ipv4Address::parse(text.substr(0, std::min(colon, slash)));
    auto port = colon == std::string_view::npos ? 80 : parse_u64(text.substr(colon + 1, slash - colon - 1)).value_or(0);
    if (!host || port == 0 || port > 0xffff) return std::nullopt;
    return Url{*host, static_cast<std::uint16_t>(port), std::string(text.substr(slash))};
}

std::optional<std::uint64_t> content_length(std::string_view head) {
    for (const auto& line : split(std::string(head), '\n'))
        if (to_lower(line).starts_with("content-length:")) return parse_u64(trim(line.substr(15)));
    return std::nullopt;
}

}  // namespace

asio::awaitable<Result<Fetched>> fetch_tftp(asio::io_context& io, Ipv4Address own, Ipv4Address server,
                                            std::string file) {
    boost::system::error_code ec;
    udp::socket socket(io);
    socket.open(udp::v4(), ec);
    if (!ec) socket.bind({address_of(own), 0}, ec);
    if (ec) co_return failed("a TFTP socket on " + own.text(), ec);
    Listener listener(io, socket);
    udp::endpoint peer(address_of(server), 69);
    auto last = request_for(file);
    Receiving state;
    for (int silent = 0; silent < 10;) {
        socket.send_to(asio::buffer(last), peer, 0, ec);
        if (state.over) co_return Fetched{state.bytes, {}};
        for (bool asked = false; !asked;) {
            udp::endpoint from;
            auto bytes = co_await listener.next(from);
            if (!bytes) {
                ++silent;
                break;
            }
            if (peer.port() != 69 && from != peer) continue;
            auto reply = answer(state, *bytes);
            if (!reply) co_return std::move(reply).error().with("TFTP " + file);
            peer = from;
            if (!*reply) continue;
            last = std::move(**reply);
            asked = true;
            silent = 0;
        }
    }
    co_return make_error(errors::kBadValue, "TFTP {}: silence after {} bytes", file, state.bytes);
}

asio::awaitable<Result<Fetched>> fetch_http(asio::io_context& io, Ipv4Address own, std::string url, bool keep) {
    auto to = parse_url(url);
    if (!to) co_return make_error(errors::kBadValue, "'{}' is no HTTP URL", printable(url));
    boost::system::error_code ec;
    tcp::socket socket(io);
    socket.open(tcp::v4(), ec);
    if (!ec) socket.bind({address_of(own), 0}, ec);
    if (ec) co_return failed("a TCP socket on " + own.text(), ec);
    auto [connect_ec] = co_await socket.async_connect({address_of(to->host), to->port}, kAwait);
    if (connect_ec) co_return failed(url, connect_ec);
    auto ask = fmt::format("GET {} HTTP/1.0\r\nHost: {}:{}\r\n\r\n", to->path, to->host.text(), to->port);
    auto [write_ec, written] = co_await asio::async_write(socket, asio::buffer(ask), kAwait);
    if (write_ec) co_return failed(url, write_ec);
    std::string head;
    auto [head_ec, head_size] =
        co_await asio::async_read_until(socket, asio::dynamic_buffer(head, 1 << 16), "\r\n\r\n", kAwait);
    if (head_ec) co_return failed(url, head_ec);
    auto length = content_length(std::string_view(head).substr(0, head_size));
    if (!head.starts_with("HTTP/1.1 200") && !head.starts_with("HTTP/1.0 200"))
        co_return make_error(errors::kBadValue, "{}: {}", url, printable(head.substr(0, head.find('\r'))));
    if (!length) co_return make_error(errors::kBadValue, "{}: no Content-Length", url);
    Fetched out{head.size() - head_size, head.substr(head_size)};
    std::string space(keep ? 1 << 16 : 0, '\0');
    while (out.bytes < *length) {
        auto [wait_ec] = co_await socket.async_wait(tcp::socket::wait_read, kAwait);
        if (wait_ec) co_return failed(url, wait_ec);
        // MSG_TRUNC on TCP: taken off the socket and not copied.
        auto got = keep ? ::recv(socket.native_handle(), space.data(), space.size(), MSG_DONTWAIT)
                        : ::recv(socket.native_handle(), nullptr, 16u << 20, MSG_DONTWAIT | MSG_TRUNC);
        if (got < 0 && (errno == EAGAIN || errno == EINTR)) continue;
        if (got <= 0)
            co_return make_error(errors::kBadValue, "{}: ended after {} of {} bytes", url, out.bytes, *length);
        out.bytes += static_cast<std::uint64_t>(got);
        if (keep) out.text.append(space, 0, static_cast<std::size_t>(got));
    }
    co_return out;
}

}  // namespace slipway::storm
