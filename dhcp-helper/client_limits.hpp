// SPDX-License-Identifier: GPL-3.0-or-later
// How often one client is answered. A client is its hardware address by the way that it came: whoever makes up packets
// with a victim's address behind another relay, on another interface or from another address has a share of its own,
// and leaves the victim's alone. On the victim's own segment, before it has an address, the two cannot be told apart.
#pragma once

#include "dhcp-helper/codec.hpp"
#include "lib/base/flood.hpp"
#include "lib/base/log.hpp"
#include "lib/base/udp.hpp"

namespace slipway::dhcp {

// Of one hardware address: from ROM to loader to agent a machine asks some fifteen times.
inline constexpr FloodLimits kClientLimits{.rate = 4, .burst = 40, .known = 16'384};

// The hardware address in the upper 48 bits, a digest of the way in the others (a collision is a shared share).
inline std::uint64_t sender_of(const Message& message, const Datagram& datagram) {
    std::uint64_t sender = 0, way = datagram.interface;
    for (auto octet : message.mac().octets) sender = sender << 8 | octet;
    for (auto part : {datagram.from.address.value, message.relay.value}) way = (way ^ part) * 0x9e3779b97f4a7c15;
    return sender << 16 | way >> 48;
}

// Says so in the log when it begins to refuse.
inline bool admitted(FloodGuard& guard, const Message& message, const Datagram& datagram,
                     Instant now = Instant::clock::now()) {
    auto client = message.mac();
    auto verdict = guard.on_request(sender_of(message, datagram), now);
    if (verdict == FloodGuard::Verdict::RefuseAndSay)
        log::warning("dhcp", "{} asks too often, not answered for now", client.text());
    return verdict == FloodGuard::Verdict::Admit;
}

}  // namespace slipway::dhcp
