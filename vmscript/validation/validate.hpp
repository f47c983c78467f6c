// SPDX-License-Identifier: GPL-3.0-or-later
// Every rule over one inventory. Pure.
#pragma once

#include "gatherhw/model.hpp"
#include "vmscript/validation/finding.hpp"
#include "vmscript/validation/surroundings.hpp"

namespace slipway::vmscript {

// reader_warnings: what the inventory's reader did not know. The findings come group by group.
std::vector<Finding> validate(const gatherhw::Inventory& inventory, const Switches& switches,
                              const Surroundings& around = {}, const std::vector<std::string>& reader_warnings = {});

}  // namespace slipway::vmscript
