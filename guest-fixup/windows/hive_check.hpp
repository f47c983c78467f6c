// SPDX-License-Identifier: GPL-3.0-or-later
// The walk behind check_hive() (hive_log.hpp), with what it found that Windows takes and libhivex would stumble over.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "lib/base/result.hpp"

namespace slipway::fixup::windows {

// A number to write at that place of the file: it says the same to Windows.
//  - a value of no length whose data is said to be in a cell (libhivex would free the cell it does not have): in place
//  - a class name of no length with an offset: none
//  - a security descriptor's count of users: the true one (libhivex would free it under keys that still use it)
struct Mend {
    std::size_t at = 0;
    std::uint32_t value = 0;
};

Result<std::vector<Mend>> inspect_hive(std::string_view bytes);

}  // namespace slipway::fixup::windows
