// SPDX-License-Identifier: GPL-3.0-or-later
// Any bytes as an IPv4 packet: what is read lies inside them, and is written and read again as the same.
#include <cstdlib>

#include "dhcp-helper/frame.hpp"

using namespace slipway;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    ByteView bytes = std::as_bytes(std::span(data, size));
    auto read = dhcp::read_udp(bytes, false);
    if (!read.ok()) return 0;
    auto inside = read->data.empty() ||
                  (read->data.data() >= bytes.data() && read->data.data() + read->data.size() <= bytes.data() + size);
    if (!inside) std::abort();
    auto again = dhcp::write_udp(read->from, read->to, read->data);
    auto back = dhcp::read_udp(again);
    if (!back.ok() || back->from != read->from || back->to != read->to ||
        !std::equal(back->data.begin(), back->data.end(), read->data.begin(), read->data.end()))
        std::abort();
    return 0;
}
