// SPDX-License-Identifier: GPL-3.0-or-later
// A message that parses is written and read again as the same message.
#include <cstdlib>

#include "dhcp-helper/codec.hpp"

using namespace slipway;
using namespace slipway::dhcp;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto message = parse_message(std::as_bytes(std::span(data, size)));
    if (!message.ok()) return 0;
    // Writing does not overload, so the mark of it must not be written either.
    if (message->options.has(Code::Overload)) message->options.set(Code::Overload, ByteView());
    auto once = encode_message(*message);
    auto again = parse_message(once);
    if (!again.ok() || encode_message(*again) != once) std::abort();
    if (describe(*again) != describe(*message) && message->file.size() < kFileSize &&
        message->server_name.size() < kSnameSize)
        std::abort();
    return 0;
}
