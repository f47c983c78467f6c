// SPDX-License-Identifier: GPL-3.0-or-later
// Which entry of a boot menu is to start by itself on the new hardware. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "guest-fixup/boot_menu.hpp"

namespace slipway::fixup {

// What is known of the kernels, by what a loader's path calls them (a version, or Arch's and Alpine's package): has it
// the target's drivers, and an initramfs that holds them?
using FitKernels = std::map<std::string, bool>;

struct KernelChoice {
    std::size_t entry = 0;
    std::string why;  // what is wrong with the one that starts now
};
// Nothing when the entry that starts now is good, starts no Linux, or is of a kernel that nobody knows. The other is
// the newest that has the drivers; not for Xen, no debug kernel and no rescue system when there is another.
std::optional<KernelChoice> choose_entry(const BootMenu& menu, const FitKernels& kernels);
// The same question, when the answer is that none is good.
std::string nothing_to_choose(const BootMenu& menu, const FitKernels& kernels);

}  // namespace slipway::fixup
