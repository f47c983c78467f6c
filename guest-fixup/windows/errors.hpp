// SPDX-License-Identifier: GPL-3.0-or-later
// The error catalogue of the repair of Windows; what it shares with Linux is in guest-fixup/errors.hpp.
#pragma once

#include "guest-fixup/errors.hpp"

namespace slipway::fixup::errors {

inline constexpr ErrorId kWindowsDirty{
    "fixup.windows-dirty",
    "Start the source, let it check the volume (chkdsk C: /f, and start again), shut it down cleanly (shutdown /s /t "
    "0), and capture it again.",
    false};
inline constexpr ErrorId kBitLocker{
    "fixup.bitlocker",
    "Start the source, switch BitLocker off (manage-bde -off C:), wait until manage-bde -status says that it is "
    "decrypted, and capture it again.",
    false};
inline constexpr ErrorId kWindowsDriver{
    "fixup.windows-driver",
    "Nothing was changed. Give a folder with this controller's driver for this Windows (--drivers), choose another "
    "target controller, or put the files named into the source and capture it again (docs/windows.md, \"Storage\").",
    false};
inline constexpr ErrorId kNtfsDamaged{
    "fixup.ntfs-damaged",
    "Nothing was changed. Start the source, let Windows check the volume (chkdsk C: /f, and start again), shut it down "
    "cleanly, and capture it again; or attach a copy of the disk to another Windows and let chkdsk X: /f mend it "
    "there.",
    false};
inline constexpr ErrorId kNtfs{
    "fixup.ntfs", "Install ntfs-3g on this host, load the ntfs3 module, or use `slipway fixup --appliance always`.",
    false};

}  // namespace slipway::fixup::errors
