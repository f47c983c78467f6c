// SPDX-License-Identifier: GPL-3.0-or-later
// An address of IPv4 or IPv6 as one value, for what works over both.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "lib/base/net.hpp"

namespace slipway {

// An IPv4 address is held as ::ffff:a.b.c.d (RFC 4291, 2.5.5.2), and so is the peer that a socket for both families
// names in this way. All zero ("::" and "0.0.0.0" alike): none. Zones ("%eth0") say something on one machine alone and
// are none of the value.
struct IpAddress {
    std::array<std::uint8_t, 16> octets{};

    IpAddress() = default;
    IpAddress(Ipv4Address address);  // NOLINT: each IPv4 address is one
    auto operator<=>(const IpAddress&) const = default;

    static std::optional<IpAddress> parse(std::string_view text);  // dotted quad, or RFC 4291, 2.2
    std::string text() const;                                      // "10.99.0.5", "fd00::5" (RFC 5952)

    bool is_zero() const { return *this == IpAddress{}; }
    bool is_v4() const { return v4().has_value(); }
    std::optional<Ipv4Address> v4() const;
    bool is_link_local() const { return octets[0] == 0xfe && (octets[1] & 0xc0) == 0x80; }  // fe80::/10
    // The n-th after it: only the last 32 bits count on, and begin again.
    IpAddress plus(std::uint32_t n) const;
};

struct IpEndpoint {
    IpAddress address;
    std::uint16_t port = 0;
    auto operator<=>(const IpEndpoint&) const = default;
    std::string text() const;  // "10.99.0.5:68", "[fd00::5]:68"
};

}  // namespace slipway
