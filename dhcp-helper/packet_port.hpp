// SPDX-License-Identifier: GPL-3.0-or-later
// UDP of one port of one interface by a packet socket: it hears what comes in without holding the port, so that a DHCP
// server on this machine can have it, started before us or after, and gets every datagram that is its own.
// Non-blocking: wait for fd() to become readable.
#pragma once

#include "lib/base/udp.hpp"

namespace slipway::dhcp {

class PacketPort {
public:
    // `local`: what answers come from. Needs CAP_NET_RAW, now and not later.
    static Result<PacketPort> open(const std::string& interface, const UdpEndpoint& local);

    int fd() const { return in_.get(); }
    std::uint16_t port() const { return local_.port; }
    // nullopt: none is there now. An error: it was no datagram for that port.
    Result<std::optional<Datagram>> receive();
    Status send(ByteView data, const UdpEndpoint& to);  // out of that interface

private:
    PacketPort(UniqueFd in, UniqueFd out, unsigned interface, const UdpEndpoint& local)
        : in_(std::move(in)), out_(std::move(out)), interface_(interface), local_(local) {}
    UniqueFd in_, out_;
    unsigned interface_;
    UdpEndpoint local_;
};

}  // namespace slipway::dhcp
