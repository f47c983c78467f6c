// SPDX-License-Identifier: GPL-3.0-or-later
// Services, kernel modules and programs that are not to start on the new hardware. They are switched off, not
// uninstalled: offline nobody can run a package's own scripts, and an administrator can switch them on again.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/guest.hpp"

namespace slipway::fixup {

enum class InitSystem { Systemd, OpenRc, SysV, None };
InitSystem init_of(const Guest& guest);
std::string sysv_scripts(const Guest& guest);                       // "/etc/init.d"; empty: none
std::vector<std::string> runlevel_directories(const Guest& guest);  // those in which S means start

// Does the guest start this service by itself? By links: units in .wants and .requires, S links, runlevels, Upstart
// jobs. A unit that is no service is given with its kind. A link to what is not there starts nothing, nor does a masked
// unit.
bool is_enabled(const Guest& guest, const std::string& service);
bool is_masked(const Guest& guest, const std::string& unit);
// False: an init that is not known here, so that is_enabled() says no of all.
bool start_is_known(const Guest& guest);

// A name of a unit, an init script or a module, in which '*' stands for any characters; three letters at least, so
// that none means everything. No path leads out of it.
bool valid_pattern(std::string_view pattern);

// Does systemd start a unit with this text only on hypervisors other than KVM and QEMU?
bool only_elsewhere(std::string_view unit);

// systemd: masked (a unit that lies in /etc itself: out of its .wants); SysV: S links become K links; OpenRC: out of
// the runlevels; Upstart: "manual". foreign_only: units that would not start here anyway are left alone. What is not
// there, or is off, is no change.
Status disable_service(Guest& guest, const std::string& what, std::string_view pattern, bool foreign_only = false);

// ---- pure

// Where modules are loaded by name (/etc/modules, modules-load.d, initramfs-tools/modules): the module's lines become
// comments; '-' and '_' are the same.
std::string unlist_module(std::string_view text, std::string_view module);
// A shell list of modules (INITRD_MODULES="…" of /etc/sysconfig/kernel, MODULES=(…) of mkinitcpio.conf,
// add_drivers+="…" of dracut): without the module.
std::string drop_from_lists(std::string_view text, std::string_view module);
enum class Startup { Script, Inittab, Cron };
// The lines that start program (by its file name) become comments, in a script commands that do nothing.
std::string comment_program(std::string_view text, std::string_view program, Startup kind);

// ---- steps of two parts

// Sets initramfs_changed when what goes into one has changed.
Status unlist_module_everywhere(Guest& guest, const std::string& what, const std::string& module,
                                bool& initramfs_changed);
Status remove_program(Guest& guest, const std::string& what, const std::string& program);

}  // namespace slipway::fixup
