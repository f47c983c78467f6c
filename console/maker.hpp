// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include <string>

#include "lib/base/result.hpp"

namespace slipway::console {

// slipway-ramdisk, which makes ramdisks and media of this machine's kernel; it stands where this program does.
Result<std::string> ramdisk_maker();

}  // namespace slipway::console
