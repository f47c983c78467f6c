// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/ip.hpp"

#include <arpa/inet.h>

#include <algorithm>

#include <fmt/format.h>

namespace slipway {

namespace {

constexpr std::array<std::uint8_t, 12> kMapped{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

std::uint32_t last_of(const IpAddress& address) {
    std::uint32_t value = 0;
    for (std::size_t i = 12; i < 16; ++i) value = value << 8 | address.octets[i];
    return value;
}

void set_last(IpAddress& address, std::uint32_t value) {
    for (std::size_t i = 16; i-- > 12; value >>= 8) address.octets[i] = static_cast<std::uint8_t>(value);
}

}  // namespace

IpAddress::IpAddress(Ipv4Address address) {
    if (address.is_zero()) return;
    std::copy(kMapped.begin(), kMapped.end(), octets.begin());
    set_last(*this, address.value);
}

std::optional<IpAddress> IpAddress::parse(std::string_view text) {
    if (const auto v4 = Ipv4Address::parse(text)) return IpAddress(*v4);
    if (text.size() >= INET6_ADDRSTRLEN || text.find('\0') != std::string_view::npos) return std::nullopt;
    IpAddress out;
    if (::inet_pton(AF_INET6, std::string(text).c_str(), out.octets.data()) != 1) return std::nullopt;
    if (const auto v4 = out.v4()) return IpAddress(*v4);
    return out;
}

std::string IpAddress::text() const {
    if (const auto address = v4()) return address->text();
    char text[INET6_ADDRSTRLEN] = "";
    ::inet_ntop(AF_INET6, octets.data(), text, sizeof text);
    return text;
}

std::optional<Ipv4Address> IpAddress::v4() const {
    if (!std::equal(kMapped.begin(), kMapped.end(), octets.begin())) return std::nullopt;
    return Ipv4Address{last_of(*this)};
}

IpAddress IpAddress::plus(std::uint32_t n) const {
    auto out = *this;
    set_last(out, last_of(*this) + n);
    return out;
}

std::string IpEndpoint::text() const {
    return address.is_v4() ? fmt::format("{}:{}", address.text(), port) : fmt::format("[{}]:{}", address.text(), port);
}

}  // namespace slipway
