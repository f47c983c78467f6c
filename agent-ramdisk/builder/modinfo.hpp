// SPDX-License-Identifier: GPL-3.0-or-later
// What a kernel module says of itself, and what a kernel image says: pure, over bytes that somebody else may have made.
#pragma once

#include <string>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"

namespace slipway::builder {

// Section .modinfo of a .ko (ELF64 little-endian): "key=value" texts, each ended by NUL. As modinfo(8) shows them.
struct ModuleInfo {
    std::string name;      // empty in modules older than 4.13
    std::string vermagic;  // "6.1.0-28-amd64 SMP preempt mod_unload modversions "
    std::vector<std::string> aliases, depends, softdeps, firmware;
    std::string kernel() const { return vermagic.substr(0, vermagic.find(' ')); }
};
Result<ModuleInfo> read_module_info(ByteView file);

// "ahci.alias=pci:…" NUL of modules.builtin.modinfo: module and alias of each driver that is part of the kernel.
std::vector<std::pair<std::string, std::string>> builtin_aliases(ByteView modinfo);

// The version in the header of a bzImage (Documentation/x86/boot.rst, kernel_version); empty: it has none.
std::string kernel_version_of(ByteView image);

}  // namespace slipway::builder
