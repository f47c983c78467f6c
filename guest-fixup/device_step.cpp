// SPDX-License-Identifier: GPL-3.0-or-later
#include <set>

#include "guest-fixup/edits.hpp"
#include "guest-fixup/errors.hpp"
#include "guest-fixup/loader_files.hpp"
#include "guest-fixup/steps.hpp"
#include "guest-fixup/storage_edits.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

using Transformer = Edited (*)(std::string_view, const DeviceNames&);

Status edit_file(Repair& repair, const std::string& path, Transformer transformer) {
    const auto text = TRY(repair.guest.read(path));
    if (!text) return {};
    auto edited = transformer(*text, repair.names);
    repair.warn(edited.warnings);
    return repair.guest.write("devices by UUID", path, edited.text);
}

// Command lines that are not lines of their own: Debian's "# kopt=" and GRUB's environment.
Status edit_hidden_arguments(Repair& repair, const LoaderFile& file) {
    if (file.syntax != LoaderSyntax::GrubLegacy && file.syntax != LoaderSyntax::Environment) return {};
    const auto text = TRY(repair.guest.read(file.path));
    if (!text) return {};
    const auto edited = map_arguments(*text, file.syntax, [&](std::string_view arguments, bool) {
        return edit_command_lines(arguments, repair.names).text;
    });
    return repair.guest.write("devices by UUID", file.path, edited);
}

// Text of the guest through a transformer that knows no devices.
Status edit_text(Repair& repair, const std::string& what, const std::string& path,
                 Edited (*transformer)(std::string_view)) {
    const auto text = TRY(repair.guest.read(path));
    if (!text) return {};
    auto edited = transformer(*text);
    repair.warn(edited.warnings);
    return repair.guest.write(what, path, edited.text);
}

// What md and LVM know of the old machine's disks.
Status repair_layers(Repair& repair) {
    auto& guest = repair.guest;
    for (const char* path : {"/etc/mdadm.conf", "/etc/mdadm/mdadm.conf"})
        TRY(edit_text(repair, "arrays by UUID", path, edit_mdadm));
    TRY(edit_text(repair, "LVM looks at all disks", "/etc/lvm/lvm.conf", edit_lvm_filter));
    constexpr const char* kDevices = "/etc/lvm/devices/system.devices";
    if (const auto text = TRY(guest.read(kDevices)); text && devices_file_is_stale(*text)) {
        // Without the file LVM looks at every disk; `vgimportdevices -a` makes a new one.
        TRY(guest.write("LVM's list of the old machine's disks, kept", kDevices + std::string(".slipway-old"), *text,
                        0600));
        TRY(guest.remove("LVM's list of the old machine's disks", kDevices));
    }
    for (const char* path : {"/etc/blkid.tab", "/etc/blkid/blkid.tab", "/etc/lvm/cache/.cache"})
        TRY(guest.remove("a cache of the old machine's disks", path));
    return {};
}

// Not changed: who wrote these knew the hardware, and nothing in them keeps a system from starting.
Status warn_of_disk_names(Repair& repair) {
    for (const char* path : {"/etc/hdparm.conf", "/etc/smartd.conf", "/etc/smartmontools/smartd.conf"})
        if (names_old_disks(TRY(repair.guest.read(path)).value_or("")))
            repair.warn(path + std::string(" names disks of the old machine: check it after the first boot"));
    for (const char* path : {"/etc/multipath.conf", "/etc/multipath/wwids"})
        if (repair.guest.exists(path)) {
            repair.warn(path + std::string(" is set up: multipath knows the old machine's disks by their WWIDs; "
                                           "check it, or remove multipath, after the first boot"));
            break;
        }
    return {};
}

Status check_grub(Repair& repair) {
    std::string root;
    std::set<std::string> missing;
    for (const char* path : {"/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"}) {
        const auto text = TRY(repair.guest.read(path));
        if (!text) continue;
        if (!repair.names.volumes().empty())
            for (const auto& uuid : searched_uuids(*text))
                if (!repair.names.find("UUID=" + uuid) && missing.insert(uuid).second)
                    repair.warn(fmt::format("{} looks for the file system {}, which is not on this disk", path,
                                            printable(uuid)));
        root = root_argument(*text);
        if (root.starts_with("UUID=") && !repair.names.volumes().empty() && !repair.names.find(root))
            repair.warn(path + std::string(" says root=") + root + ", which is not on this disk");
        return {};
    }
    if (!loader_files(repair.guest).empty()) return {};
    repair.warn(
        "no boot loader's configuration was found: check that the boot loader of this system starts on the new "
        "hardware");
    return {};
}

}  // namespace

std::vector<std::string> command_line_files(const Guest& guest) {
    std::vector<std::string> files{"/etc/initramfs-tools/conf.d/resume", "/etc/dracut.conf"};
    for (const auto& name : guest.list("/etc/dracut.conf.d")) files.push_back("/etc/dracut.conf.d/" + name);
    for (const auto& file : loader_files(guest))
        if (file.syntax != LoaderSyntax::Environment) files.push_back(file.path);
    return files;
}

Status repair_device_names(Repair& repair) {
    TRY(edit_file(repair, "/etc/fstab", edit_fstab));
    TRY(edit_file(repair, "/etc/crypttab", edit_crypttab));
    TRY(edit_file(repair, "/etc/default/grub", edit_grub_defaults));
    for (const auto& name : repair.guest.list("/etc/default/grub.d"))
        if (name.ends_with(".cfg")) TRY(edit_file(repair, "/etc/default/grub.d/" + name, edit_grub_defaults));
    for (const auto& path : command_line_files(repair.guest)) TRY(edit_file(repair, path, edit_command_lines));
    for (const auto& file : loader_files(repair.guest)) TRY(edit_hidden_arguments(repair, file));
    // It maps BIOS drives to device names of the old machine; GRUB does without.
    for (const char* path : {"/boot/grub/device.map", "/boot/grub2/device.map"})
        TRY(repair.guest.remove("GRUB's map of the old machine's disks", path));
    TRY(repair_layers(repair));
    TRY(warn_of_disk_names(repair));
    return check_grub(repair);
}

Status repair_crypttab(Repair& repair) {
    if (repair.encrypted.empty() || !repair.guest.exists("/etc/initramfs-tools/initramfs.conf")) return {};
    const auto text = TRY(repair.guest.read("/etc/crypttab"));
    if (!text) return {};
    return repair.guest.write("crypttab: opened in the initramfs", "/etc/crypttab",
                              edit_crypttab_for_initramfs(*text, repair.encrypted).text);
}

}  // namespace slipway::fixup
