// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdint>
#include <cstdlib>

#include "guest-fixup/services.hpp"
#include "guest-fixup/vendor_agents.hpp"

using namespace slipway::fixup;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto windows = parse_drivers_file({reinterpret_cast<const char*>(data), size}, NamesOf::Windows);
    if (windows)
        for (const auto* list : {&windows->services, &windows->drivers, &windows->programs})
            for (const auto& name : *list)
                if (!valid_windows_pattern(name) || name.find('\\') != std::string::npos) std::abort();
    const auto read = parse_drivers_file({reinterpret_cast<const char*>(data), size});
    if (!read) return 0;
    for (const auto* list : {&read->services, &read->drivers, &read->programs})
        for (const auto& name : *list)
            if (!valid_pattern(name) || name.find('/') != std::string::npos) std::abort();
    if (read->warnings.size() > 4096) std::abort();
    return 0;
}
