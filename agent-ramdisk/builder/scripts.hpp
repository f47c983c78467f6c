// SPDX-License-Identifier: GPL-3.0-or-later
// The shell scripts of the ramdisk, from init.sh, hotplug.sh and udhcpc.sh beside this file.
#pragma once

namespace slipway::builder {

extern const char* const kInitScript;
extern const char* const kHotplugScript;
extern const char* const kUdhcpcScript;

}  // namespace slipway::builder
