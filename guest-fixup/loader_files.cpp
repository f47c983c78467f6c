// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/loader_files.hpp"

#include <algorithm>

#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

// Each vendor directory of the EFI system partition may hold a whole grub.cfg, or GRUB legacy's grub.conf.
void add_esp_files(const Guest& guest, std::vector<LoaderFile>& files) {
    const auto esp = find_esp(guest);
    if (esp.empty()) return;
    for (const auto& vendor : guest.list(esp + "/EFI")) {
        const auto directory = esp + "/EFI/" + vendor;
        files.push_back({directory + "/grub.cfg", LoaderSyntax::Grub2});
        files.push_back({directory + "/grub.conf", LoaderSyntax::GrubLegacy});
        files.push_back({directory + "/grubenv", LoaderSyntax::Environment});
    }
}

}  // namespace

const std::vector<std::string>& boot_places() {
    static const std::vector<std::string> places{"/boot", "/boot/efi", "/efi", "/esp", ""};
    return places;
}

std::string find_esp(const Guest& guest) {
    for (const char* place : {"/boot/efi", "/efi", "/boot", "/esp"})
        if (guest.exists(place + std::string("/EFI"))) return place;
    return {};
}

std::vector<LoaderFile> loader_files(const Guest& guest) {
    std::vector<LoaderFile> files{
        {"/etc/default/grub", LoaderSyntax::Defaults},
        {"/etc/kernel/cmdline", LoaderSyntax::CommandLine},
        {"/etc/update-extlinux.conf", LoaderSyntax::Defaults},
        {"/etc/default/extlinux", LoaderSyntax::Defaults},
    };
    for (const auto& name : guest.list("/etc/default/grub.d"))
        if (name.ends_with(".cfg")) files.push_back({"/etc/default/grub.d/" + name, LoaderSyntax::Defaults});
    for (const char* directory : {"/boot/grub", "/boot/grub2"}) {
        files.push_back({directory + std::string("/grub.cfg"), LoaderSyntax::Grub2});
        files.push_back({directory + std::string("/grubenv"), LoaderSyntax::Environment});
        files.push_back({directory + std::string("/menu.lst"), LoaderSyntax::GrubLegacy});
        files.push_back({directory + std::string("/grub.conf"), LoaderSyntax::GrubLegacy});
    }
    add_esp_files(guest, files);
    for (const char* path : {"/boot/extlinux/extlinux.conf", "/boot/extlinux.conf", "/extlinux/extlinux.conf",
                             "/boot/syslinux/syslinux.cfg", "/boot/efi/EFI/syslinux/syslinux.cfg"})
        files.push_back({path, LoaderSyntax::Extlinux});
    for (const auto& place : boot_places())
        for (const auto& name : guest.list(place + "/loader/entries"))
            if (name.ends_with(".conf")) files.push_back({place + "/loader/entries/" + name, LoaderSyntax::Entry});
    std::erase_if(files, [&](const auto& file) { return !guest.exists(file.path); });
    return files;
}

Result<EntryFiles> read_entry_files(const Guest& guest, const std::string& place) {
    EntryFiles files;
    const auto directory = place + "/loader/entries/";
    for (const auto& name : guest.list(directory))
        if (name.ends_with(".conf") && files.size() < 1024)
            if (auto text = TRY(guest.read(directory + name, 1u << 20))) files.emplace_back(name, std::move(*text));
    return files;
}

std::string path_in_guest(const Guest& guest, const std::string& place, std::string_view path) {
    std::string leaf(path.substr(std::min(path.find('/'), path.size())));  // without GRUB's (hd0,1)
    if (leaf.empty()) return {};
    for (const auto& candidate : {place + leaf, leaf})
        if (guest.exists(candidate)) return candidate;
    return {};
}

}  // namespace slipway::fixup
