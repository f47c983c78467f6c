// SPDX-License-Identifier: GPL-3.0-or-later
// Consoles, and drivers that a kernel command line keeps away.
#include "guest-fixup/drivers.hpp"
#include "guest-fixup/loader_files.hpp"
#include "guest-fixup/steps.hpp"

namespace slipway::fixup {

namespace {

Status edit_command_line_file(Repair& repair, const LoaderFile& file) {
    const auto text = TRY(repair.guest.read(file.path));
    if (!text) return {};
    const auto& drivers = drivers_of(repair.request.target);
    auto modules = drivers.required;
    modules.insert(modules.end(), drivers.optional.begin(), drivers.optional.end());
    bool kept_away = false;
    const auto edited = map_arguments(*text, file.syntax, [&](std::string_view arguments, bool whole) {
        const auto allowed = allow_modules(arguments, modules);
        kept_away = kept_away || allowed != arguments;
        return edit_consoles(allowed, repair.request.serial_console, whole);
    });
    if (kept_away) repair.warn(file.path + ": the kernel command line kept drivers of the target from loading");
    return repair.guest.write("kernel command lines for the target", file.path, edited);
}

}  // namespace

Status repair_consoles(Repair& repair) {
    auto& guest = repair.guest;
    const bool serial = repair.request.serial_console;
    for (const auto& file : loader_files(guest)) TRY(edit_command_line_file(repair, file));
    if (const auto text = TRY(guest.read("/etc/inittab"))) {
        const bool agetty = !guest.exists("/sbin/getty") && guest.exists("/sbin/agetty");
        TRY(guest.write("gettys of the target's consoles", "/etc/inittab", edit_inittab(*text, serial, agetty)));
    }
    if (const auto text = TRY(guest.read("/etc/securetty")); text && serial)
        TRY(guest.write("root may log in on the serial port", "/etc/securetty", edit_securetty(*text)));
    return {};
}

}  // namespace slipway::fixup
