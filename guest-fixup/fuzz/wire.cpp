// SPDX-License-Identifier: GPL-3.0-or-later
// Whatever the other side says is a message or an error; what was understood is said again in the same words.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "guest-fixup/wire.hpp"

using namespace slipway::fixup;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    wire::Lines lines;
    for (std::size_t at = 0; at < size; at += 7)
        if (!lines.feed(text.substr(at, 7))) return 0;
    while (auto line = lines.next()) {
        if (auto saying = wire::parse_saying(*line)) {
            auto again = wire::line_of(*saying);
            auto second = wire::parse_saying(again);
            if (!second || wire::line_of(*second) != again) std::abort();
        }
        if (auto request = wire::parse_request(*line)) {
            auto again = wire::request_line(*request);
            auto second = wire::parse_request(again);
            if (!second || wire::request_line(*second) != again) std::abort();
        }
        if (auto message = wire::parse_message(*line)) {
            auto again = wire::line_of(*message);
            auto second = wire::parse_message(again);
            if (!second || wire::line_of(*second) != again) std::abort();
        }
    }
    return 0;
}
