// SPDX-License-Identifier: GPL-3.0-or-later
// Inventories from what other tools wrote down of a machine, for machines that are known only by such a dump. Pure:
// bytes in, an Inventory out that read_inventory(to_xml(…)) accepts. What a dump cannot tell is listed in
// Inventory::unread, so that a check never takes "not said" for "not there". All bytes are hostile.
//   lshw    lshw -xml                     (tinyxml2)
//   udev    udevadm info --export-db      (text, "P: N: E:" paragraphs)
//   smbios  dmidecode --dump-bin, or /sys/firmware/dmi/tables/DMI
//   wmi     wmic CLASS get /format:list, or Get-CimInstance CLASS | Format-List *: one file for a class, UTF-16 or
//   UTF-8,
//           blocks of `Name=Value` or `Name : Value`; among them copies of the source's hal.dll, ntoskrnl.exe,
//           ntkrnlpa.exe (and what /HAL= and /KERNEL= name) and boot.ini, and what `reg query` wrote
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gatherhw/model.hpp"
#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"

namespace slipway::gatherhw {

enum class DumpKind { Lshw, Udev, Smbios, Wmi };
inline constexpr std::string_view kDumpKinds[] = {"lshw", "udev", "smbios", "wmi"};  // in the order of DumpKind
std::optional<DumpKind> dump_kind_named(std::string_view name);

struct Dump {
    std::string name;  // of its file: for wmi the class may stand in it
    Bytes bytes;
};
inline constexpr std::size_t kMaxDump = 64u << 20, kMaxDumps = 100;

// Errors: kBadDump (not of that kind, or nothing in it), kTooManyDumps (only wmi takes several).
Result<Inventory> import_dumps(DumpKind kind, const std::vector<Dump>& dumps);

Result<Inventory> import_lshw(std::string_view xml);
Result<Inventory> import_udev(std::string_view text);
Result<Inventory> import_smbios(ByteView dump);
Result<Inventory> import_wmi(const std::vector<Dump>& dumps);

// What Linux itself wrote down of a machine whose dump does not tell what lies on its partitions. What the inventory
// has already stays; whatever is named and not known there is noted in unread. Errors: kBadDump (not of that kind,
// nothing in it, more than 1 MiB, the inventory is of a Windows); then the inventory is as it was.
Status add_mdstat(Inventory& out, std::string_view text);      // /proc/mdstat
Status add_lvm_backup(Inventory& out, std::string_view text);  // /etc/lvm/backup/GROUP, or what vgcfgbackup -f wrote
Status add_fstab(Inventory& out, std::string_view text);       // /etc/fstab: last, for it names what the others make

}  // namespace slipway::gatherhw
