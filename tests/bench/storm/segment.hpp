// SPDX-License-Identifier: GPL-3.0-or-later
// DHCP for many machines through one socket: each asks under transaction ids of its own, and asks to be answered by
// broadcast, so that nobody needs an address to hear.
#pragma once

#include <deque>
#include <unordered_map>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "dhcp-helper/codec.hpp"
#include "lib/base/clock.hpp"
#include "lib/base/result.hpp"

namespace slipway::storm {

namespace asio = boost::asio;
inline constexpr auto kAwait = asio::as_tuple(asio::use_awaitable);

// What came for one machine.
class Inbox {
public:
    explicit Inbox(asio::io_context& io) : timer_(io) {}
    void put(dhcp::Message message, Instant heard);
    struct Letter {
        dhcp::Message message;
        Instant heard;
    };
    asio::awaitable<std::optional<Letter>> next(Instant deadline);  // nothing: it was reached

private:
    std::deque<Letter> letters_;
    asio::steady_timer timer_;
};

class Segment {
public:
    // Port 68 of one interface.
    static Result<std::unique_ptr<Segment>> open(asio::io_context& io, const std::string& interface);

    // Answers under this transaction id go to that inbox, until it is forgotten.
    std::uint32_t expect(Inbox& inbox);
    void forget(std::uint32_t xid) { inboxes_.erase(xid); }
    void send(const dhcp::Message& message);
    void stop();

private:
    explicit Segment(asio::io_context& io) : socket_(io) {}
    asio::awaitable<void> listen();

    asio::ip::udp::socket socket_;
    std::unordered_map<std::uint32_t, Inbox*> inboxes_;
    std::uint32_t last_xid_ = 0x51000000;
};

}  // namespace slipway::storm
