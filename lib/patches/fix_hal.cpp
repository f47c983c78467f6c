// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/patches/fix_hal.hpp"

#include "lib/base/strings.hpp"

namespace slipway::patches {

std::optional<FixHal> parse_fix_hal(std::string_view name) {
    for (auto fix : {FixHal::Auto, FixHal::None, FixHal::Acpi, FixHal::Nacpi})
        if (iequals(name_of(fix), name)) return fix;
    return std::nullopt;
}

std::string_view name_of(FixHal fix) {
    switch (fix) {
        case FixHal::Auto: return "auto";
        case FixHal::None: return "none";
        case FixHal::Acpi: return "acpi";
        case FixHal::Nacpi: return "nacpi";
    }
    return "";
}

}  // namespace slipway::patches
