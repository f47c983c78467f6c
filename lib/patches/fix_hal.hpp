// SPDX-License-Identifier: GPL-3.0-or-later
// What --fixhal asks for.
#pragma once

#include <optional>
#include <string_view>

namespace slipway::patches {

enum class FixHal {
    Auto,   // what is there stays if the new machine runs it; else the nearest that does
    None,   // nothing is exchanged
    Acpi,   // ACPI PC; with several processors ACPI Multiprocessor PC
    Nacpi,  // Standard PC
};
std::optional<FixHal> parse_fix_hal(std::string_view name);  // auto, none, acpi, nacpi; any case
std::string_view name_of(FixHal fix);

}  // namespace slipway::patches
