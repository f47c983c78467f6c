// SPDX-License-Identifier: GPL-3.0-or-later
// Kernel command lines where each loader keeps them, and what is changed in them. Pure; a second time changes nothing.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::fixup {

enum class LoaderSyntax {
    Grub2,        // grub.cfg: linux, linux16, linuxefi, and module lines of a kernel
    Defaults,     // /etc/default/grub, Alpine's update-extlinux.conf: a variable
    GrubLegacy,   // menu.lst, grub.conf: kernel, module, Debian's "# kopt="
    Entry,        // boot loader specification: options
    CommandLine,  // /etc/kernel/cmdline: the whole file
    Extlinux,     // append
    Environment,  // grubenv: kernelopts=
};

// Calls change(arguments, whole) for each command line. whole: this is all of it, or its main part: only there is
// something added.
using ChangeArguments = std::function<std::string(std::string_view arguments, bool whole)>;
std::string map_arguments(std::string_view text, LoaderSyntax syntax, const ChangeArguments& change);

// Consoles that the target lacks (hvc0, xvc0 of Xen) go; a lone serial port beyond the first gets the screen beside it,
// for a system whose only console is missing has none. serial: the screen and the first serial port are both there.
std::string edit_consoles(std::string_view arguments, bool serial, bool whole);

// modprobe.blacklist=, module_blacklist=, rd.driver.blacklist= and rdblacklist= without these modules.
std::string allow_modules(std::string_view arguments, const std::vector<std::string>& modules);

// inittab(5): gettys of consoles that are gone are comments; serial: there is one on ttyS0. agetty: the guest has that
// instead of a getty.
std::string edit_inittab(std::string_view text, bool serial, bool agetty);
// securetty(5): root may log in on ttyS0.
std::string edit_securetty(std::string_view text);

}  // namespace slipway::fixup
