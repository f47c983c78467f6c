// SPDX-License-Identifier: GPL-3.0-or-later
// The shell scripts of the ramdisk, from the .sh files beside this file.
#pragma once

namespace slipway::builder {

extern const char* const kInitScript;
extern const char* const kHotplugScript;
extern const char* const kUdhcpcScript;
extern const char* const kPostSystemScript;
extern const char* const kLocalScript;

}  // namespace slipway::builder
