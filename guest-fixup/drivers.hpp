// SPDX-License-Identifier: GPL-3.0-or-later
// Which kernel modules a controller needs, what a kernel has of them, and the initramfs tools' configuration. Pure.
#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/fixup.hpp"

namespace slipway::fixup {

struct DriverSet {
    std::vector<std::string> required;  // one missing: the disk is not found
    std::vector<std::string> optional;  // for variants of the controller
};
const DriverSet& drivers_of(TargetController target);

// "kernel/drivers/ata/ata-piix.ko.xz" -> "ata_piix"; empty when it is no module.
std::string module_name(std::string_view path);

struct KernelModules {
    std::set<std::string> loadable, builtin;
};
// From the kernel's modules.dep and modules.builtin.
KernelModules parse_modules(std::string_view modules_dep, std::string_view modules_builtin);

struct NeededModules {
    std::vector<std::string> in_initramfs;  // loadable ones that the initramfs must hold
    std::vector<std::string> missing;       // required, but this kernel does not have them
};
NeededModules needed_modules(const DriverSet& drivers, const KernelModules& kernel);

// Modules found in a listing of an initramfs, one path a line.
std::set<std::string> modules_in_listing(std::string_view listing);

// /etc/initramfs-tools/modules with the missing modules added at its end.
std::string add_modules(std::string_view text, const std::vector<std::string>& modules);
// The last MODULES= of initramfs.conf or of a conf.d file; empty when it sets none.
std::string modules_policy(std::string_view text);

}  // namespace slipway::fixup
