// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/net.hpp"

#include <charconv>

#include <fmt/format.h>

#include "lib/base/bytes.hpp"

namespace slipway {

std::optional<MacAddress> MacAddress::parse(std::string_view text) {
    std::string digits;
    if (text.size() == 17) {
        char separator = text[2];
        if (separator != ':' && separator != '-') return std::nullopt;
        for (std::size_t i = 0; i < text.size(); ++i) {
            if (i % 3 != 2) digits += text[i];
            else if (text[i] != separator) return std::nullopt;
        }
    } else {
        digits = text;
    }
    auto bytes = from_hex(digits);
    if (!bytes || bytes->size() != 6) return std::nullopt;
    MacAddress mac;
    for (std::size_t i = 0; i < 6; ++i) mac.octets[i] = std::to_integer<std::uint8_t>((*bytes)[i]);
    return mac;
}

std::string MacAddress::text() const {
    return fmt::format("{:02x}:{:02x}:{:02x}:{:02x}:{:02x}:{:02x}", octets[0], octets[1], octets[2], octets[3],
                       octets[4], octets[5]);
}

std::string MacAddress::compact() const {
    return fmt::format("{:02x}{:02x}{:02x}{:02x}{:02x}{:02x}", octets[0], octets[1], octets[2], octets[3],
                       octets[4], octets[5]);
}

std::optional<Ipv4Address> Ipv4Address::parse(std::string_view text) {
    std::uint32_t value = 0;
    const char* at = text.data();
    const char* end = at + text.size();
    for (int part = 0; part < 4; ++part) {
        unsigned octet = 0;
        auto [next, error] = std::from_chars(at, end, octet);
        if (error != std::errc{} || octet > 255 || next - at > 3) return std::nullopt;
        value = value << 8 | octet;
        at = next;
        if (part < 3 && (at == end || *at++ != '.')) return std::nullopt;
    }
    if (at != end) return std::nullopt;
    return Ipv4Address{value};
}

std::string Ipv4Address::text() const {
    return fmt::format("{}.{}.{}.{}", value >> 24, value >> 16 & 255, value >> 8 & 255, value & 255);
}

}  // namespace slipway
