// SPDX-License-Identifier: GPL-3.0-or-later
// Inventory XML -> Inventory. The bytes are hostile: they came from another machine.
// Target slipway_gatherhw_reader.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "gatherhw/model.hpp"
#include "lib/base/result.hpp"

namespace slipway::gatherhw {

struct ReadInventory {
    Inventory inventory;
    std::vector<std::string> warnings;  // unknown elements, with their lines
};

// gatherhw.not-an-inventory: not XML, truncated, or another document.
// gatherhw.bad-inventory: an unknown attribute, a value out of range, a reference to nothing; the
// message names line, element and attribute.
Result<ReadInventory> read_inventory(std::string_view xml);

}  // namespace slipway::gatherhw
