// SPDX-License-Identifier: GPL-3.0-or-later
// Packets of anybody: header and body. What is read is written as it was.
#include <cstdlib>

#include "imagestore/multicast/wire.hpp"

using namespace slipway;
using namespace slipway::multicast;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto packet = std::as_bytes(std::span(data, size));
    const auto header = parse_header(packet);
    if (!header) return 0;
    const auto inner = packet.subspan(kHeaderBytes, packet.size() - kHeaderBytes - kTagBytes);
    const auto body = parse_body(header->type, inner);
    if (!body) return 0;
    ByteWriter writer;
    write_header(*header, writer);
    std::visit([&](const auto& b) { write_body(b, writer); }, *body);
    const auto again = writer.view();
    if (!std::equal(again.begin(), again.end(), packet.begin(), packet.end() - kTagBytes)) std::abort();
    return 0;
}
