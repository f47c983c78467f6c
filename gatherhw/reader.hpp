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

// Facts that a dump lacks, said by an operator in an inventory of their own: an attribute takes the place of the one
// that was there, an item of a list changes the item of its name (`name`, `id`, `path`, …) or is a new one, and an item
// of `unread` with an empty `why` strikes that note out. What was said is kept in Inventory::added, with source for its
// file. The result obeys read_inventory's rules; an error leaves the inventory as it was. Returns its warnings.
// Errors: those of read_inventory.
inline constexpr std::size_t kMaxFacts = 1u << 20;  // bytes: written by hand
Result<std::vector<std::string>> add_facts(Inventory& inventory, std::string_view xml, std::string_view source);

}  // namespace slipway::gatherhw
