// SPDX-License-Identifier: GPL-3.0-or-later
// What a golden of somebody's real machine may keep: kinds, counts and sizes, but no serial number, address, name of
// the machine or of a person.
#pragma once

#include <string>

#include "gatherhw/model.hpp"

namespace slipway::gatherhw {

std::string summary_of(const Inventory& inventory);

}  // namespace slipway::gatherhw
