// SPDX-License-Identifier: GPL-3.0-or-later
// The boot loaders: which kernel starts by itself, and that it finds the initramfs that was made for it.
#include <algorithm>
#include <set>

#include "guest-fixup/drivers.hpp"
#include "guest-fixup/errors.hpp"
#include "guest-fixup/grub_environment.hpp"
#include "guest-fixup/initramfs_setup.hpp"
#include "guest-fixup/kernel_choice.hpp"
#include "guest-fixup/loader_files.hpp"
#include "guest-fixup/steps.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr const char* kWhat = "the kernel that starts by itself";
constexpr std::uint64_t kImageLimit = 1u << 30;

// A kernel that a loader knows by a link ("/vmlinuz") under the name of the file.
void follow_kernels(const Guest& guest, const std::string& place, BootMenu& menu) {
    for (auto& entry : menu.entries) {
        const auto path = path_in_guest(guest, place, entry.kernel);
        if (path.empty()) continue;
        if (const auto real = guest.resolve(path)) entry.kernel = real->string();
    }
}

// A kernel that has all of the target's drivers built in.
Result<bool> needs_no_image(Repair& repair, const std::string& version) {
    const auto builtin = TRY(repair.guest.read("/lib/modules/" + version + "/modules.builtin")).value_or("");
    const auto needed = needed_modules(drivers_of(repair.request.target), parse_modules("", builtin));
    return needed.missing.empty();
}

// What can be said of each kernel, by its version and by its package's name.
Result<FitKernels> fit_kernels(Repair& repair) {
    const auto& guest = repair.guest;
    const auto& fit = repair.report.kernels;
    FitKernels kernels;
    const auto versions = guest.list("/lib/modules");
    for (const auto& version : versions) {
        const bool good =
            std::find(fit.begin(), fit.end(), version) != fit.end() || TRY(needs_no_image(repair, version));
        kernels[version] = good;
        const auto package = trim(TRY(guest.read("/lib/modules/" + version + "/pkgbase")).value_or(""));
        for (const auto& name : {std::string(package), flavour_of(version)})
            if (!name.empty()) kernels[name] = kernels[name] || good;
    }
    for (const auto& name : guest.list("/boot")) {
        const auto version = version_in_path(name);
        if (version == name || kernels.contains(version) || version.starts_with("0-rescue")) continue;
        kernels[version] = false;
        repair.warn(fmt::format("/boot/{} has no modules in /lib/modules: it was not made fit", printable(name)));
    }
    return kernels;
}

// Warns, and says which entry is to be the default, if another.
const MenuEntry* other_default(Repair& repair, const std::string& where, const BootMenu& menu,
                               const FitKernels& kernels) {
    const auto choice = choose_entry(menu, kernels);
    if (!choice) {
        if (const auto why = nothing_to_choose(menu, kernels); !why.empty())
            repair.warn(fmt::format("{} starts by itself what does not fit: {}, and it offers no other", where, why));
        return nullptr;
    }
    const auto& entry = menu.entries[choice->entry];
    repair.warn(
        fmt::format("{} starts {} by itself now: {}", where, printable(version_in_path(entry.kernel)), choice->why));
    return &entry;
}

Status save_in_environment(Repair& repair, const std::string& path, const std::string& block, const std::string& id) {
    auto changed = set_environment(set_environment(block, "next_entry", ""), "saved_entry", id);
    if (environment_value(changed, "saved_entry") != id) {
        repair.warn(path + " cannot hold the new default of GRUB's menu: choose '" + printable(id) + "' there by hand");
        return {};
    }
    return repair.guest.write(kWhat, path, changed);
}

Status choose_in_grub2(Repair& repair, const std::string& directory, const FitKernels& kernels) {
    auto& guest = repair.guest;
    const auto path = directory + "/grub.cfg", environment_path = directory + "/grubenv";
    const auto config = TRY(guest.read(path));
    if (!config) return {};
    const auto environment = TRY(guest.read(environment_path)).value_or("");
    const bool entries = grub2_reads_entries(*config);
    auto menu = entries ? read_entries_for_grub(TRY(read_entry_files(guest, "/boot")), environment)
                        : read_grub2(*config, environment);
    follow_kernels(guest, "/boot", menu);
    const auto* entry = other_default(repair, path, menu, kernels);
    if (!entry) return {};
    if (menu.by_environment) return save_in_environment(repair, environment_path, environment, entry->id);
    TRY(guest.write(kWhat, path, set_default_grub2(*config, entry->id)));
    if (!environment.empty()) TRY(guest.write(kWhat, environment_path, set_environment(environment, "next_entry", "")));
    // Else the next update-grub would take it back.
    if (const auto defaults = TRY(guest.read("/etc/default/grub")))
        TRY(guest.write(kWhat, "/etc/default/grub", set_default_grub_defaults(*defaults, entry->id)));
    return {};
}

Status choose_in_grub_legacy(Repair& repair, const std::string& path, const FitKernels& kernels) {
    const auto config = TRY(repair.guest.read(path));
    if (!config) return {};
    const auto saved = TRY(repair.guest.read("/boot/grub/default")).value_or("");
    auto menu = read_grub_legacy(*config, saved);
    follow_kernels(repair.guest, "/boot", menu);
    const auto* entry = other_default(repair, path, menu, kernels);
    return entry ? repair.guest.write(kWhat, path, set_default_grub_legacy(*config, entry->id)) : Status();
}

Status choose_in_extlinux(Repair& repair, const std::string& path, const FitKernels& kernels) {
    const auto config = TRY(repair.guest.read(path));
    if (!config) return {};
    auto menu = read_extlinux(*config);
    follow_kernels(repair.guest, "/boot", menu);
    const auto* entry = other_default(repair, path, menu, kernels);
    return entry ? repair.guest.write(kWhat, path, set_default_extlinux(*config, entry->id)) : Status();
}

// systemd-boot reads from the EFI system partition alone; kernel-install keeps copies of the images there.
Status refresh_copy(Repair& repair, const std::string& place, const MenuEntry& entry, const InitramfsTool& tool) {
    auto& guest = repair.guest;
    const auto version = version_in_path(entry.kernel);
    const auto& fit = repair.report.kernels;
    const auto copy = path_in_guest(guest, place, entry.initrd);
    if (copy.empty() || std::find(fit.begin(), fit.end(), version) == fit.end()) return {};
    for (const auto& image : image_paths(tool, version, "")) {
        const auto made = guest.resolve(image);
        if (!made || made == guest.resolve(copy)) continue;
        const auto is_made = [&](const Change& change) { return change.where == image; };
        const auto& journal = guest.journal();
        if (guest.dry_run()) {  // the image it would be a copy of is not there yet
            if (std::any_of(journal.begin(), journal.end(), is_made))
                guest.note_change({"the loader's copy of " + image, copy, "", "made again"});
            return {};
        }
        const auto content = TRY(guest.read(image, kImageLimit));
        if (!content || TRY(file_digest(*made)) == TRY(file_digest(*guest.resolve(copy)))) return {};
        return guest.write("the loader's copy of " + image, copy, *content);
    }
    return {};
}

Status choose_in_systemd_boot(Repair& repair, const std::string& place, const FitKernels& kernels) {
    auto& guest = repair.guest;
    const auto conf_path = place + "/loader/loader.conf";
    const auto conf = TRY(guest.read(conf_path));
    const auto files = TRY(read_entry_files(guest, place));
    if (files.empty()) return {};
    auto menu = read_entries_for_systemd_boot(files, conf.value_or(""));
    const auto& tool = *TRY(find_tool(guest));
    for (const auto& entry : menu.entries) TRY(refresh_copy(repair, place, entry, tool));
    const auto* entry = other_default(repair, place + "/loader/entries", menu, kernels);
    return entry ? guest.write(kWhat, conf_path, set_default_loader_conf(conf.value_or(""), entry->id)) : Status();
}

bool grub_reads_entries(const Guest& guest) {
    for (const char* path : {"/boot/grub/grub.cfg", "/boot/grub2/grub.cfg"})
        if (const auto text = guest.read(path); text && *text && grub2_reads_entries(**text)) return true;
    return false;
}

Status warn_of_unified_images(Repair& repair) {
    std::set<std::string> seen, unified;  // unified: those that mkinitcpio makes, which are fit
    for (const auto& name : repair.guest.list("/etc/mkinitcpio.d"))
        if (const auto text = TRY(repair.guest.read("/etc/mkinitcpio.d/" + name)))
            unified.insert(parse_mkinitcpio_preset(*text).default_uki);
    for (const auto& place : boot_places())
        for (const auto& name : repair.guest.list(place + "/EFI/Linux")) {
            if (!to_lower(name).ends_with(".efi") || !seen.insert(name).second) continue;
            const auto path = place + "/EFI/Linux/" + name;
            if (unified.contains(path)) continue;
            repair.warn(path +
                        " is a unified kernel image: the initramfs inside it is as it was. If the system does not "
                        "find its disk, boot it on the old hardware, run `kernel-install add`, and capture again");
        }
    return {};
}

}  // namespace

Status check_boot_loader(Repair& repair) {
    const auto& guest = repair.guest;
    if (!guest.exists("/etc/lilo.conf") || !loader_files(guest).empty()) return {};
    // It knows its kernel and initramfs by their block numbers: after any change it starts garbage.
    return make_error(errors::kLilo, "this system is started by LILO");
}

Status repair_loaders(Repair& repair) {
    const auto kernels = TRY(fit_kernels(repair));
    for (const char* directory : {"/boot/grub", "/boot/grub2"}) TRY(choose_in_grub2(repair, directory, kernels));
    for (const auto& file : loader_files(repair.guest)) {
        if (file.syntax == LoaderSyntax::GrubLegacy) TRY(choose_in_grub_legacy(repair, file.path, kernels));
        if (file.syntax == LoaderSyntax::Extlinux) TRY(choose_in_extlinux(repair, file.path, kernels));
        // RHEL before 9 has its whole menu on the EFI system partition.
        if (file.syntax == LoaderSyntax::Grub2 && file.path.find("/EFI/") != std::string::npos)
            TRY(choose_in_grub2(repair, file.path.substr(0, file.path.find_last_of('/')), kernels));
    }
    for (const auto& place : boot_places())
        if (place != "/boot" || !grub_reads_entries(repair.guest)) TRY(choose_in_systemd_boot(repair, place, kernels));
    return warn_of_unified_images(repair);
}

}  // namespace slipway::fixup
