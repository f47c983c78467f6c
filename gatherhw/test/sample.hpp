// SPDX-License-Identifier: GPL-3.0-or-later
// An Inventory in which every field says something.
#pragma once

#include "gatherhw/model.hpp"

namespace slipway::gatherhw {
Inventory full_inventory();
}
