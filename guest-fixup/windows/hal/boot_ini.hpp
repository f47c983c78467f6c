// SPDX-License-Identifier: GPL-3.0-or-later
// boot.ini, the menu of NT 4 to Server 2003. Pure; every byte that is not meant to change stays, line ends too.
//   [boot loader]
//   default=multi(0)disk(0)rdisk(0)partition(1)\WINDOWS
//   [operating systems]
//   multi(0)disk(0)rdisk(0)partition(1)\WINDOWS="Windows Server 2003" /fastdetect /HAL=halx.dll
// Sources: Microsoft KB 102873 ("BOOT.INI and ARC path naming conventions and usage"), KB 833721 (the switches).
#pragma once

#include <cstdint>
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

// The disks of the new machine in the order in which its firmware counts them, rdisk(0) first: that is the one with
// boot.ini on it.
struct FirmwareDisks {
    std::vector<std::uint32_t> signatures{0};  // of each, in its MBR; 0: none, or not known
    unsigned windows_disk = 0;                 // which of them has the Windows on it that is repaired,
    unsigned windows_partition = 0;            // in this partition, as boot.ini counts them; 0: not known
    std::string windows_folder;                // "WINDOWS"
    // "scsi(0)disk(1)rdisk(0)partition(1)": what it was started from the last time; "": not known.
    std::string started_from;
};
struct FirmwarePaths {
    std::string text;
    std::vector<std::string> left;  // paths whose disk is not known, each once; at most 8
};
// scsi(…) and signature(…) are read through ntbootdd.sys, the driver of the old controller: with multi(0) the firmware
// reads. Partition and folder stay. scsi() has the number that the old adapter gave a disk, signature() the disk's own:
//   - a signature that one disk has is that disk;
//   - what Windows was started from is Windows' disk; where that is not known, the one disk that has an entry for
//     Windows' partition and folder, if the firmware reads none; and with one disk alone, what starts by default;
//   - every other path stays as it is.
FirmwarePaths with_firmware_paths(std::string_view text, const FirmwareDisks& disks);

}  // namespace slipway::fixup::windows
