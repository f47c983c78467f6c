// SPDX-License-Identifier: GPL-3.0-or-later
// A packet that parses is written and read again the same; a session fed with it never sends outside its file.
#include <cstdlib>

#include "tftp/session.hpp"

using namespace slipway;
using namespace slipway::tftp;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    ByteView bytes = std::as_bytes(std::span(data, size));
    auto packet = parse_packet(bytes);
    if (!packet.ok()) return 0;
    auto once = encode_packet(*packet);
    auto again = parse_packet(once);
    if (!again.ok() || encode_packet(*again) != once) std::abort();
    const auto* request = std::get_if<Request>(&*packet);
    if (!request || request->write) return 0;
    ReadSession session(*request, 100'000, {});
    Instant now{};
    auto step = session.start(now);
    for (std::uint16_t i = 0; i < 64 && !session.ended(); ++i) {
        for (std::uint32_t n = 0; n < step.count; ++n) {
            auto slice = session.slice(step.first + n);
            if (slice.offset + slice.length > 100'000) std::abort();
        }
        step = session.on_packet(Ack{static_cast<std::uint16_t>(i * 3)}, now += std::chrono::milliseconds(100));
    }
    return 0;
}
