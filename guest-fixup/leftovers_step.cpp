// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/forget.hpp"
#include "guest-fixup/leftovers.hpp"
#include "guest-fixup/services.hpp"
#include "guest-fixup/steps.hpp"

namespace slipway::fixup {

namespace {

using Edit = std::function<std::string(const std::string&)>;

Status edit_file(Guest& guest, const std::string& what, const std::string& path, const Edit& edit) {
    if (auto text = guest.read(path, 1u << 20); text && *text) return guest.write(what, path, edit(**text));
    return {};
}

// The driver that X has for any card; X without one of them takes what it finds by itself.
std::string general_display(const Guest& guest) {
    for (const char* directory : {"/usr/lib/xorg/modules/drivers", "/usr/lib64/xorg/modules/drivers"})
        if (guest.exists(directory + std::string("/modesetting_drv.so"))) return "modesetting";
    return "vesa";
}

Status quiet_display(Guest& guest) {
    const auto display = general_display(guest);
    std::vector<std::string> files{"/etc/X11/xorg.conf"};
    for (const char* directory : {"/etc/X11/xorg.conf.d", "/usr/share/X11/xorg.conf.d"})
        for (const auto& file : matching(guest, directory, "*.conf")) files.push_back(file);
    for (const auto& file : files)
        TRY(edit_file(guest, "display and pointer of another hypervisor", file,
                      [&](const std::string& text) { return edit_xorg(text, display); }));
    return {};
}

Status quiet(Guest& guest, const Leftover& row, bool& initramfs_changed) {
    const auto what = fmt::format("leftovers of {}", row.hypervisor);
    for (const auto service : row.services) TRY(disable_service(guest, what, service, true));
    for (const auto program : row.programs) TRY(remove_program(guest, what, std::string(program)));
    for (const auto module : row.modules)
        TRY(unlist_module_everywhere(guest, what, std::string(module), initramfs_changed));
    for (const auto file : row.files) TRY(guest.remove(what, std::string(file)));
    if (!row.file_systems.empty())
        TRY(edit_file(guest, what, "/etc/fstab",
                      [&](const std::string& text) { return comment_file_systems(text, row.file_systems); }));
    auto aliases = matching(guest, "/etc/modprobe.d", "*");
    for (const char* file :
         {"/etc/modprobe.conf", "/etc/modules.conf", "/etc/conf.modules", "/etc/modprobe.conf.local"})
        aliases.push_back(file);
    for (const auto& file : aliases)
        TRY(edit_file(guest, what, file, [&](const std::string& text) { return comment_aliases(text, row.modules); }));
    return {};
}

}  // namespace

Status quiet_leftovers(Repair& repair, bool& initramfs_changed) {
    if (repair.request.keep_leftovers) return {};
    repair.note("leftovers of other hypervisors");
    for (const auto& row : leftovers()) TRY(quiet(repair.guest, row, initramfs_changed));
    return quiet_display(repair.guest);
}

}  // namespace slipway::fixup
