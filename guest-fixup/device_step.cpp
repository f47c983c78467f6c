// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/edits.hpp"
#include "guest-fixup/errors.hpp"
#include "guest-fixup/steps.hpp"

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

std::vector<std::string> command_line_files(const Guest& guest) {
    std::vector<std::string> files{"/etc/initramfs-tools/conf.d/resume", "/etc/kernel/cmdline", "/boot/grub/grub.cfg",
                                   "/boot/grub2/grub.cfg", "/boot/grub/menu.lst"};
    for (const auto& name : guest.list("/boot/loader/entries"))
        if (name.ends_with(".conf")) files.push_back("/boot/loader/entries/" + name);
    return files;
}

Status check_grub(Repair& repair) {
    std::string root;
    for (const char* path : {"/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"}) {
        const auto text = TRY(repair.guest.read(path));
        if (!text) continue;
        root = root_argument(*text);
        if (root.starts_with("UUID=") && !repair.names.volumes().empty() && !repair.names.find(root))
            repair.warn(path + std::string(" says root=") + root + ", which is not on this disk");
        return {};
    }
    repair.warn("no grub.cfg was found: check that the boot loader of this system starts on the new hardware");
    return {};
}

}  // namespace

Status repair_device_names(Repair& repair) {
    TRY(edit_file(repair, "/etc/fstab", edit_fstab));
    TRY(edit_file(repair, "/etc/crypttab", edit_crypttab));
    TRY(edit_file(repair, "/etc/default/grub", edit_grub_defaults));
    for (const auto& name : repair.guest.list("/etc/default/grub.d"))
        if (name.ends_with(".cfg")) TRY(edit_file(repair, "/etc/default/grub.d/" + name, edit_grub_defaults));
    for (const auto& path : command_line_files(repair.guest)) TRY(edit_file(repair, path, edit_command_lines));
    // It maps BIOS drives to device names of the old machine; GRUB does without.
    for (const char* path : {"/boot/grub/device.map", "/boot/grub2/device.map"})
        TRY(repair.guest.remove("GRUB's map of the old machine's disks", path));
    return check_grub(repair);
}

Status repair_crypttab(Repair& repair) {
    if (repair.encrypted.empty() || !repair.guest.exists("/etc/initramfs-tools/initramfs.conf")) return {};
    const auto text = TRY(repair.guest.read("/etc/crypttab"));
    if (!text) return {};
    return repair.guest.write("crypttab: opened in the initramfs", "/etc/crypttab",
                              edit_crypttab_for_initramfs(*text, repair.encrypted).text);
}

Status repair_firmware(Repair& repair) {
    if (repair.request.firmware != Firmware::Uefi) return {};
    std::string esp;
    for (const char* path : {"/boot/efi", "/efi", "/boot"})
        if (esp.empty() && repair.guest.exists(path + std::string("/EFI"))) esp = path;
    if (esp.empty())
        return make_error(errors::kBootLoader,
                          "the target boots by UEFI, but there is no EFI system partition in "
                          "/boot/efi, /efi or /boot of this system");
    // The VM's firmware remembers no boot entry of the old machine's: it starts the fallback loader.
    if (repair.guest.exists(esp + "/EFI/BOOT/BOOTX64.EFI")) return {};
    constexpr std::uint64_t kLoaderLimit = 32u << 20;
    for (const auto& vendor : repair.guest.list(esp + "/EFI")) {
        const auto directory = esp + "/EFI/" + vendor;
        const auto shim = TRY(repair.guest.read(directory + "/shimx64.efi", kLoaderLimit));
        const auto grub = TRY(repair.guest.read(directory + "/grubx64.efi", kLoaderLimit));
        if (!grub) continue;
        TRY(repair.guest.write_unrecorded(esp + "/EFI/BOOT/BOOTX64.EFI", shim ? *shim : *grub, 0644));
        if (shim) TRY(repair.guest.write_unrecorded(esp + "/EFI/BOOT/grubx64.efi", *grub, 0644));
        repair.guest.note_change({"EFI fallback loader", esp + "/EFI/BOOT/BOOTX64.EFI", "", "copy of " + directory});
        return {};
    }
    repair.warn("the EFI system partition holds no GRUB to make a fallback loader of");
    return {};
}

}  // namespace slipway::fixup
