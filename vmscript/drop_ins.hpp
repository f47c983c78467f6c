// SPDX-License-Identifier: GPL-3.0-or-later
// Whether the folders of --hwdriverdir have the drivers that this machine's Windows will need, by the choice that the
// repair itself makes among their INF files. Reads the folders.
#pragma once

#include <optional>

#include "gatherhw/model.hpp"
#include "vmscript/switches.hpp"
#include "vmscript/validation/surroundings.hpp"

namespace slipway::vmscript {

// Nothing without the switch, and for another system than Windows. What is wrong with a folder is in the answer.
std::optional<DropInDrivers> drop_in_drivers(const gatherhw::Inventory& inventory, const Switches& switches);

}  // namespace slipway::vmscript
