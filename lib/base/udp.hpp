// SPDX-License-Identifier: GPL-3.0-or-later
// One UDP socket over IPv4 that knows on which interface and address a datagram came in (IP_PKTINFO) and answers from
// there. Non-blocking: wait for fd() to become readable.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "lib/base/bytes.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/net.hpp"
#include "lib/base/result.hpp"

namespace slipway {

struct UdpEndpoint {
    Ipv4Address address;
    std::uint16_t port = 0;
    auto operator<=>(const UdpEndpoint&) const = default;
    std::string text() const;  // "10.99.0.5:68"
};

struct Datagram {
    Bytes data;
    UdpEndpoint from;
    Ipv4Address to;          // in the IP header; may be a broadcast address
    Ipv4Address local;       // our address on that interface: what to answer from
    unsigned interface = 0;  // its index
};

struct UdpOptions {
    UdpEndpoint local;       // address 0: any; port 0: any
    std::string device;      // only datagrams of this interface (SO_BINDTODEVICE); empty: all
    bool broadcast = false;  // may send to broadcast addresses
    bool share = false;      // SO_REUSEADDR: beside another program on the same port
};

class UdpPort {
public:
    static Result<UdpPort> open(const UdpOptions& options);

    int fd() const { return fd_.get(); }
    std::uint16_t port() const { return port_; }
    Status connect(const UdpEndpoint& peer);  // only its datagrams from now on; send with an empty `to`
    // nullopt: none is there now. An error of a connected socket is the peer's (ICMP) refusal.
    Result<std::optional<Datagram>> receive();
    // interface 0: as routed; otherwise out of that one, from address `from`.
    Status send(ByteView data, const UdpEndpoint& to = {}, unsigned interface = 0, Ipv4Address from = {});

private:
    UdpPort(UniqueFd fd, std::uint16_t port) : fd_(std::move(fd)), port_(port) {}
    UniqueFd fd_;
    std::uint16_t port_;
};

}  // namespace slipway
