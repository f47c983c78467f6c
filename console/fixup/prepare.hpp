// SPDX-License-Identifier: GPL-3.0-or-later
// What the appliance is made of: this machine's Debian kernel and a ramdisk, kept in a cache by what they were made
// from.
#pragma once

#include "console/fixup/appliance.hpp"

namespace slipway::console {

// $XDG_CACHE_HOME/slipway; without it /var/cache/slipway for root, ~/.cache/slipway for others.
std::filesystem::path cache_directory();

// Makes what is missing. cancel_fd: readable to stop. Errors: console.no-appliance, console.no-program.
Result<ApplianceMachine> prepare_appliance(int cancel_fd);

}  // namespace slipway::console
