// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/firmware.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr std::string_view kArchitectures[] = {"x64", "ia32", "aa64"};

// FAT does not tell a from A; the spelling that is there is used.
std::string file_in(const EspDirectory& directory, std::string_view name) {
    for (const auto& file : directory.files)
        if (iequals(file, name)) return file;
    return {};
}

std::string vendor_of(std::string_view id) {
    if (id == "rhel" || id == "ol") return "redhat";
    if (id.starts_with("opensuse")) return "opensuse";
    return std::string(id);
}

// This system's own directory first, then systemd-boot, then the others by name.
std::vector<const EspDirectory*> in_order(const std::vector<EspDirectory>& directories, std::string_view id) {
    std::vector<const EspDirectory*> out;
    for (const auto& directory : directories)
        if (!iequals(directory.name, "BOOT") && !iequals(directory.name, "Microsoft")) out.push_back(&directory);
    const auto rank = [vendor = vendor_of(id)](const EspDirectory* directory) {
        return iequals(directory->name, vendor) ? 0 : iequals(directory->name, "systemd") ? 1 : 2;
    };
    std::stable_sort(out.begin(), out.end(), [&](auto* a, auto* b) { return rank(a) < rank(b); });
    return out;
}

// The loader of one directory for one architecture, as copies to \EFI\BOOT; none when it holds no loader.
std::vector<FallbackPlan::Copy> copies_of(const EspDirectory& directory, std::string_view arch) {
    const auto file = [&](std::string_view prefix) {
        return file_in(directory, fmt::format("{}{}.efi", prefix, arch));
    };
    const auto from = [&](const std::string& name) { return directory.name + "/" + name; };
    const auto loader = "BOOT/BOOT" + [&] {
        std::string upper(arch);
        for (auto& c : upper)
            if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
        return upper;
    }();
    if (const auto grub = file("grub"); !grub.empty()) {
        const auto shim = file("shim");
        if (shim.empty()) return {{from(grub), loader + ".EFI"}};
        std::vector<FallbackPlan::Copy> copies{{from(grub), "BOOT/" + grub}};
        if (const auto mok = file("mm"); !mok.empty()) copies.push_back({from(mok), "BOOT/" + mok});
        // Last: what the firmware looks for stands only when all it needs is there.
        copies.push_back({from(shim), loader + ".EFI"});
        return copies;
    }
    if (const auto boot = file("systemd-boot"); !boot.empty()) return {{from(boot), loader + ".EFI"}};
    // GRUB legacy of RHEL 6 reads a configuration of its own name beside it.
    const auto legacy = file_in(directory, "grub.efi"), config = file_in(directory, "grub.conf");
    if (arch == "x64" && !legacy.empty() && !config.empty())
        return {{from(config), loader + ".conf"}, {from(legacy), loader + ".EFI"}};
    return {};
}

std::string_view name_of(BootCode code) {
    switch (code) {
        case BootCode::None: return "no boot code";
        case BootCode::Grub: return "GRUB's boot code";
        case BootCode::Lilo: return "LILO's boot code";
        case BootCode::Other: return "boot code of some kind";
    }
    return "";
}

std::string what_there_is(const FirmwareFacts& facts) {
    std::vector<std::string> has;
    if (facts.disk) has.emplace_back(facts.disk->gpt ? "a GPT" : "an MBR partition table");
    if (facts.disk) has.emplace_back(name_of(facts.disk->code));
    if (facts.disk && facts.disk->gpt)
        has.emplace_back(facts.disk->bios_boot_partition ? "a BIOS boot partition" : "no BIOS boot partition");
    has.emplace_back(facts.esp                       ? "an EFI system partition"
                     : facts.disk && facts.disk->esp ? "an EFI system partition that fstab does not mount"
                                                     : "no EFI system partition");
    if (!facts.efi_loader.empty()) has.push_back("a loader in " + facts.efi_loader);
    if (facts.grub_bios) has.emplace_back("GRUB's BIOS modules");
    return join(has, ", ");
}

}  // namespace

FallbackPlan plan_fallback(const std::vector<EspDirectory>& directories, std::string_view id) {
    FallbackPlan plan;
    const EspDirectory none{"BOOT", {}};
    const auto boot = std::find_if(directories.begin(), directories.end(),
                                   [](const auto& directory) { return iequals(directory.name, "BOOT"); });
    const auto& there = boot == directories.end() ? none : *boot;
    for (const auto arch : kArchitectures) {
        if (!file_in(there, fmt::format("boot{}.efi", arch)).empty()) {
            plan.source = "EFI/" + there.name;
            continue;
        }
        for (const auto* directory : in_order(directories, id)) {
            auto copies = copies_of(*directory, arch);
            if (copies.empty()) continue;
            plan.source = "EFI/" + directory->name;
            for (auto& copy : copies) {
                // Also under a directory that is spelt "Boot".
                copy.to.replace(0, 4, there.name);
                plan.copies.push_back(std::move(copy));
            }
            // Red Hat's GRUB looks beside itself; Debian's has its directory built in.
            if (!file_in(*directory, "grub.cfg").empty() && file_in(there, "grub.cfg").empty())
                plan.grub_config = fmt::format(
                    "# Written by Slipway for firmware that starts the fallback loader.\n"
                    "set prefix=($root)/EFI/{0}\nconfigfile ($root)/EFI/{0}/grub.cfg\n",
                    directory->name);
            break;
        }
    }
    return plan;
}

BootCode boot_code_in(ByteView first_sector) {
    constexpr std::size_t kCode = 440;
    const auto text = as_text(first_sector.first(std::min(kCode, first_sector.size())));
    if (text.find_first_not_of('\0') == text.npos) return BootCode::None;
    if (text.find("GRUB ") != text.npos) return BootCode::Grub;
    return text.size() > 10 && text.substr(6, 4) == "LILO" ? BootCode::Lilo : BootCode::Other;
}

FirmwareVerdict judge_firmware(Firmware target, const FirmwareFacts& facts) {
    FirmwareVerdict out;
    if (target == Firmware::Uefi) {
        if (!facts.esp)
            out.obstacle = fmt::format(
                "the target boots by UEFI, but this system is set up for BIOS: it has {}. Give it "
                "an EFI system partition{}, or choose BIOS for the target",
                what_there_is(facts), facts.grub_efi_package ? "" : " and GRUB for EFI");
        else if (facts.efi_loader.empty())
            out.warnings.push_back(
                fmt::format("the target boots by UEFI, but nothing on the EFI system partition can be "
                            "its fallback loader: it has {}. Install GRUB for EFI or run `bootctl "
                            "install` in the source, or choose BIOS for the target",
                            what_there_is(facts)));
        return out;
    }
    const bool code = !facts.disk || facts.disk->code != BootCode::None;
    const bool no_grub = !facts.grub_bios && !facts.efi_loader.empty();
    if (!code || no_grub)
        out.warnings.push_back(
            fmt::format("the target boots by BIOS, but this system is not set up for it: it has {}. "
                        "Choose UEFI for the target, or run grub-install --target=i386-pc from a rescue "
                        "system{}",
                        what_there_is(facts), facts.grub_bios_package ? "" : " (package grub-pc)"));
    else if (facts.disk && facts.disk->code == BootCode::Grub && facts.disk->gpt && !facts.disk->bios_boot_partition)
        out.warnings.push_back(
            "GRUB's boot code is on a GPT without a BIOS boot partition: it may not find its core image");
    return out;
}

}  // namespace slipway::fixup
