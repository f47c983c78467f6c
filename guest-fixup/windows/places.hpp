// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>
#include <string_view>

#include "guest-fixup/guest.hpp"

namespace slipway::fixup::windows {

// Where a file with this path is, or is to be made: directories that are there keep their spelling, for on the file
// system two names that differ by case alone are two, and Windows sees one of them.
std::string place_for(const Guest& guest, std::string_view path);

}  // namespace slipway::fixup::windows
