// SPDX-License-Identifier: GPL-3.0-or-later
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"
#include "tests/bench/storm/segment.hpp"

namespace slipway::storm {

using asio::ip::udp;

void Inbox::put(dhcp::Message message, Instant heard) {
    letters_.push_back({std::move(message), heard});
    timer_.cancel();
}

asio::awaitable<std::optional<Inbox::Letter>> Inbox::next(Instant deadline) {
    while (letters_.empty()) {
        if (Instant::clock::now() >= deadline) co_return std::nullopt;
        timer_.expires_at(deadline);
        co_await timer_.async_wait(kAwait);
    }
    auto letter = std::move(letters_.front());
    letters_.pop_front();
    co_return letter;
}

Result<std::unique_ptr<Segment>> Segment::open(asio::io_context& io, const std::string& interface) {
    std::unique_ptr<Segment> segment(new Segment(io));
    auto& socket = segment->socket_;
    boost::system::error_code ec;
    socket.open(udp::v4(), ec);
    if (!ec) socket.set_option(udp::socket::broadcast(true), ec);
    if (!ec) socket.set_option(udp::socket::reuse_address(true), ec);
    // A thousand machines' answers may come at once.
    if (!ec) socket.set_option(udp::socket::receive_buffer_size(16 << 20), ec);
    if (!ec && ::setsockopt(socket.native_handle(), SOL_SOCKET, SO_BINDTODEVICE, interface.c_str(),
                            static_cast<socklen_t>(interface.size())) != 0)
        ec = boost::system::error_code(errno, boost::system::system_category());
    if (!ec) socket.bind({udp::v4(), dhcp::kClientPort}, ec);
    if (ec) return make_error(errors::kBadValue, "port 68 on '{}': {}", interface, ec.message());
    asio::co_spawn(io, segment->listen(), asio::detached);
    return segment;
}

asio::awaitable<void> Segment::listen() {
    Bytes space(2048);
    for (;;) {
        udp::endpoint from;
        auto [ec, size] = co_await socket_.async_receive_from(asio::buffer(space), from, kAwait);
        if (ec == asio::error::operation_aborted || ec == asio::error::bad_descriptor) co_return;
        if (ec) continue;
        auto message = dhcp::parse_message(ByteView(space).first(size));
        if (!message.ok() || message->op != dhcp::Op::Reply) continue;
        if (auto inbox = inboxes_.find(message->xid); inbox != inboxes_.end())
            inbox->second->put(std::move(*message), Instant::clock::now());
    }
}

std::uint32_t Segment::expect(Inbox& inbox) {
    inboxes_[++last_xid_] = &inbox;
    return last_xid_;
}

void Segment::send(const dhcp::Message& message) {
    boost::system::error_code ec;  // as a lost packet
    socket_.send_to(asio::buffer(dhcp::encode_message(message)),
                    udp::endpoint(asio::ip::address_v4::broadcast(), dhcp::kServerPort), 0, ec);
}

void Segment::stop() {
    boost::system::error_code ec;
    socket_.close(ec);
}

}  // namespace slipway::storm
