// SPDX-License-Identifier: GPL-3.0-or-later
// Takes DHCP messages on one interface and port, and sends each answer to where RFC 2131 §4.1 says. On an io_context
// that one thread runs.
#pragma once

#include <functional>
#include <memory>

#include <boost/asio/io_context.hpp>

#include "dhcp-helper/client_limits.hpp"
#include "dhcp-helper/codec.hpp"
#include "lib/base/udp.hpp"

namespace slipway::dhcp {

// A request as it came in.
struct Arrival {
    Message message;
    UdpEndpoint from;
    Ipv4Address local;       // our address on that interface
    std::uint16_t port = 0;  // ours
};

// Where a reply goes. On the boot server port a client is answered where it asked from; otherwise by relay, by its
// address, or by broadcast: a client without an address cannot be reached by unicast without raw frames, and RFC 2131
// allows it.
UdpEndpoint destination_of(const Message& reply, const Arrival& request);

struct ListenerOptions {
    std::string device;  // interface name; empty: all (tests on loopback)
    std::uint16_t port = kServerPort;
    Ipv4Address address;                // to bind; 0 receives broadcasts. beside: what answers come from
    bool answer_source = false;         // the boot server port's way
    bool beside = false;                // another DHCP server on this machine may have the port: see packet_port.hpp
    FloodLimits flood = kClientLimits;  // what is above is not answered
    std::function<std::optional<Message>(const Arrival&)> handler;
};

class Listener {
public:
    static Result<Listener> create(boost::asio::io_context& io, ListenerOptions options);
    Listener(Listener&&) noexcept;
    Listener& operator=(Listener&&) noexcept;
    ~Listener();  // stop()
    std::uint16_t port() const;
    void stop();  // on the io_context's thread, or while none runs it

private:
    struct Impl;
    explicit Listener(std::shared_ptr<Impl> impl);
    std::shared_ptr<Impl> impl_;  // shared with its pending wait
};

}  // namespace slipway::dhcp
