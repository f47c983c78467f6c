// SPDX-License-Identifier: GPL-3.0-or-later
// What is accepted must come back the same from its own XML.
#include <cstdint>
#include <cstdlib>

#include "sequences/model.hpp"

using namespace slipway::sequences;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto read = parse_sequence({reinterpret_cast<const char*>(data), size});
    if (!read) return 0;
    auto once = render_sequence(read->sequence);
    auto again = parse_sequence(once);
    if (!again || render_sequence(again->sequence) != once) std::abort();
    (void)check_variables(read->sequence, {});
    return 0;
}
