// SPDX-License-Identifier: GPL-3.0-or-later
// Any bytes as an ICMPv6 message; the first 17 are the source and the hop limit.
#include <algorithm>
#include <cstdlib>

#include "dhcp-helper/router_advert.hpp"

using namespace slipway;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size < 17) return 0;
    auto bytes = std::as_bytes(std::span(data, size));
    dhcp::Ipv6Address from;
    std::copy_n(bytes.begin(), from.size(), from.begin());
    auto message = bytes.subspan(17);
    if (!dhcp::is_solicitation(message, from, data[16])) return 0;
    if (data[16] != 255 || message.size() < 8 || message.size() % 8 != 0) std::abort();
    return 0;
}
