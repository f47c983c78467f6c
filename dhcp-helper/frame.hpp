// SPDX-License-Identifier: GPL-3.0-or-later
// UDP over IPv4 as a packet socket has it: from the IP header on. Pure.
#pragma once

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"
#include "lib/base/udp.hpp"

namespace slipway::dhcp {

struct UdpPacket {
    UdpEndpoint from, to;
    ByteView data;  // of the bytes read
};

// Whole datagrams alone: a fragment is an error. `check_sum` false: the sender's card had yet to make the checksum, as
// between machines on one host.
Result<UdpPacket> read_udp(ByteView packet, bool check_sum = true);

Bytes write_udp(const UdpEndpoint& from, const UdpEndpoint& to, ByteView data);

}  // namespace slipway::dhcp
