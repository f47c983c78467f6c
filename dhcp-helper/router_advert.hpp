// SPDX-License-Identifier: GPL-3.0-or-later
// What ends a boot loader's wait for IPv6 on a segment without it (RFC 4861 §4.1, §4.2): a router advertisement that
// offers no router, no prefix and no DHCPv6. Debian's iPXE waits 13 s for one after it has its IPv4 lease. Pure.
#pragma once

#include <array>
#include <optional>

#include "lib/base/bytes.hpp"
#include "lib/base/net.hpp"

namespace slipway::dhcp {

using Ipv6Address = std::array<std::byte, 16>;
inline constexpr Ipv6Address kUnspecified{};

// Is it a router solicitation to be answered (§6.1.1)? The message from the ICMPv6 type on, and its IP header's fields;
// the kernel has looked at the checksum.
bool is_solicitation(ByteView icmp, const Ipv6Address& from, int hop_limit);

// From the ICMPv6 type on; the kernel makes the checksum. Lifetime 0: this is no default router.
Bytes empty_advertisement(const MacAddress& ours);

}  // namespace slipway::dhcp
