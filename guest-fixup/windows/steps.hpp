// SPDX-License-Identifier: GPL-3.0-or-later
// Steps that concern how Windows is started; the others are in system.hpp.
#pragma once

#include "guest-fixup/windows/system.hpp"

namespace slipway::fixup::windows {

// firmware_step.cpp: a start by the other kind of firmware is refused before anything is changed; the fallback loader
// of UEFI, for firmware that does not know of Windows' own entry.
Status repair_firmware(WindowsRepair& repair);
// boot_store.cpp: the devices of the BCD, where disk or partition are called otherwise now.
Status repair_boot_store(WindowsRepair& repair);

}  // namespace slipway::fixup::windows
