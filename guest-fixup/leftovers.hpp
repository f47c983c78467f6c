// SPDX-License-Identifier: GPL-3.0-or-later
// What another hypervisor's tools leave in a system, and what of it does harm elsewhere: services that fail or hang,
// file systems in fstab whose failing mount ends a boot in emergency mode, X drivers for a card that is gone, modules
// loaded by name. Those that look for their own hypervisor first (open-vm-tools, Debian's and Red Hat's Hyper-V
// daemons) are left.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::fixup {

struct Leftover {
    std::string_view hypervisor;
    std::vector<std::string_view> services, modules, file_systems, programs, files;
};
std::span<const Leftover> leftovers();

// fstab(5): lines of these types become comments.
std::string comment_file_systems(std::string_view text, const std::vector<std::string_view>& types);
// modprobe.conf: aliases that give a device to one of these modules become comments.
std::string comment_aliases(std::string_view text, const std::vector<std::string_view>& modules);
// Xorg: drivers of a hypervisor's card and pointer become display and "mouse".
std::string edit_xorg(std::string_view text, std::string_view display);

}  // namespace slipway::fixup
