// SPDX-License-Identifier: GPL-3.0-or-later
// A packet that is taken for UDP has its payload inside itself.
#include <cstdlib>

#include "dhcp-helper/overhear.hpp"

using namespace slipway;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto packet = std::as_bytes(std::span(data, size));
    auto datagram = dhcp::read_passing(packet);
    if (!datagram) return 0;
    const auto* begin = datagram->payload.data();
    if (begin < packet.data() || begin + datagram->payload.size() > packet.data() + packet.size()) std::abort();
    (void)dhcp::parse_message(datagram->payload).ok();
    return 0;
}
