// SPDX-License-Identifier: GPL-3.0-or-later
// What is accepted renders to a text that reads as the same machine.
#include <cstdint>
#include <cstdlib>

#include "vmm-target/definition.hpp"

using namespace slipway::vmm;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto parsed = parse_definition({reinterpret_cast<const char*>(data), size});
    if (!parsed) return 0;
    auto again = parse_definition(render_definition(parsed->definition));
    if (!again || again->definition != parsed->definition) std::abort();
    return 0;
}
