// SPDX-License-Identifier: GPL-3.0-or-later
// Inventory -> text. No library besides lib/base, so that gatherhw stays static.
#pragma once

#include <string>

#include "gatherhw/model.hpp"

namespace slipway::gatherhw {

std::string to_xml(const Inventory& inventory);   // valid against inventory.xsd
std::string to_json(const Inventory& inventory);  // one object, the names of the XML

}  // namespace slipway::gatherhw
