// SPDX-License-Identifier: GPL-3.0-or-later
// Hardware and IPv4 addresses as values.
#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace slipway {

struct MacAddress {
    std::array<std::uint8_t, 6> octets{};
    auto operator<=>(const MacAddress&) const = default;

    // Accepts 52:54:00:12:34:56, 52-54-00-12-34-56 and 525400123456, any case.
    static std::optional<MacAddress> parse(std::string_view text);
    std::string text() const;        // "52:54:00:12:34:56"
    std::string compact() const;     // "525400123456"
    bool is_multicast() const { return octets[0] & 1; }
    bool is_zero() const { return *this == MacAddress{}; }
};

struct Ipv4Address {
    std::uint32_t value = 0;  // host order
    auto operator<=>(const Ipv4Address&) const = default;

    static std::optional<Ipv4Address> parse(std::string_view text);  // dotted quad only
    std::string text() const;
    bool is_zero() const { return value == 0; }
};

}  // namespace slipway
