// SPDX-License-Identifier: GPL-3.0-or-later
// boot.ini, the menu of NT 4 to Server 2003. Pure; every byte that is not meant to change stays, line ends too.
//   [boot loader]
//   default=multi(0)disk(0)rdisk(0)partition(1)\WINDOWS
//   [operating systems]
//   multi(0)disk(0)rdisk(0)partition(1)\WINDOWS="Windows Server 2003" /fastdetect /HAL=halx.dll
// Sources: Microsoft KB 102873 ("BOOT.INI and ARC path naming conventions and usage"), KB 833721 (the switches).
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace slipway::fixup::windows {

struct BootEntry {
    std::string path;                   // "multi(0)disk(0)rdisk(0)partition(1)\WINDOWS", as it is written
    std::vector<std::string> switches;  // "/fastdetect", without the text before them
    bool is_default = false;
};
// At most 64 entries; a line that is none is none.
std::vector<BootEntry> read_boot_ini(std::string_view text);

// The value of a switch such as "/HAL=x.dll", any case; "" where the entry has none.
std::string switch_value(const BootEntry& entry, std::string_view name);

// The entry that starts when nobody chooses; nullptr: there is none.
const BootEntry* default_entry(const std::vector<BootEntry>& entries);

// Without /HAL= and /KERNEL= in the entries of the default's path: other files would be loaded than were installed.
std::string without_hal_switches(std::string_view text);

// scsi(…) and signature(…) are read through ntbootdd.sys, the driver of the old controller: with multi(0) the firmware
// reads. Partition and folder stay.
std::string with_firmware_paths(std::string_view text);

}  // namespace slipway::fixup::windows
