// SPDX-License-Identifier: GPL-3.0-or-later
// The files that validation takes besides the inventory: each reader gets the same bytes.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "vmscript/validation/surroundings.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    (void)slipway::vmscript::read_device_list(text);
    (void)slipway::vmscript::read_agent_drivers(text);
    if (auto entries = slipway::vmscript::read_drivers_file(text))
        for (const auto& entry : *entries) (void)slipway::vmscript::name_matches(entry.name, "srvadmin");
    return 0;
}
