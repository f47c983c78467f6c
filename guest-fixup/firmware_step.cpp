// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/errors.hpp"
#include "guest-fixup/firmware.hpp"
#include "guest-fixup/loader_files.hpp"
#include "guest-fixup/steps.hpp"
#include "guest-fixup/text_lines.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/block.hpp"
#include "lib/disks/layout.hpp"

namespace slipway::fixup {

namespace {

constexpr std::uint64_t kLoaderLimit = 32u << 20;

std::vector<EspDirectory> esp_directories(const Guest& guest, const std::string& esp) {
    std::vector<EspDirectory> out;
    for (const auto& name : guest.list(esp + "/EFI")) out.push_back({name, guest.list(esp + "/EFI/" + name)});
    return out;
}

// Only a look: nothing is written to the disk outside of its file systems.
std::optional<FirmwareFacts::Disk> look_at_disk(const std::filesystem::path& path) {
    if (path.empty()) return std::nullopt;
    auto disk = disks::open_disk(path, disks::OpenMode::ReadOnly);
    if (!disk) return std::nullopt;
    const auto layout = disks::read_layout(**disk);
    Bytes sector(512);
    if (!layout || !(*disk)->read(0, sector)) return std::nullopt;
    FirmwareFacts::Disk facts;
    facts.gpt = layout->table == disks::TableKind::Gpt;
    facts.code = boot_code_in(sector);
    for (const auto& partition : layout->partitions) {
        const auto type = facts.gpt ? partition.type.text() : std::string();
        facts.esp = facts.esp || type == "c12a7328-f81f-11d2-ba4b-00a0c93ec93b" || partition.mbr_type == 0xef;
        facts.bios_boot_partition = facts.bios_boot_partition || type == "21686148-6449-6e6f-744e-656564454649";
    }
    return facts;
}

Result<std::string> distribution_id(const Guest& guest) {
    for (const auto& line : split(TRY(guest.read("/etc/os-release")).value_or(""), '\n'))
        if (line.starts_with("ID=")) return std::string(without_quotes(trim(std::string_view(line).substr(3))));
    return std::string();
}

Status write_fallback(Repair& repair, const std::string& esp, const FallbackPlan& plan) {
    auto& guest = repair.guest;
    const auto below = [&](const std::string& path) { return esp + "/EFI/" + path; };
    if (!plan.grub_config.empty() && !plan.copies.empty()) {
        const auto directory = plan.copies.front().to.substr(0, plan.copies.front().to.find('/'));
        TRY(guest.write("EFI fallback loader", below(directory + "/grub.cfg"), plan.grub_config));
    }
    for (const auto& copy : plan.copies) {
        const auto content = TRY(guest.read(below(copy.from), kLoaderLimit));
        if (content) TRY(guest.write("EFI fallback loader", below(copy.to), *content));
    }
    return {};
}

}  // namespace

Status repair_firmware(Repair& repair) {
    auto& guest = repair.guest;
    const auto esp = find_esp(guest);
    const auto plan =
        esp.empty() ? FallbackPlan{} : plan_fallback(esp_directories(guest, esp), TRY(distribution_id(guest)));
    const auto any = [&](std::initializer_list<const char*> paths) {
        return std::any_of(paths.begin(), paths.end(), [&](const char* path) { return guest.exists(path); });
    };
    FirmwareFacts facts{.esp = !esp.empty(),
                        .efi_loader = plan.source,
                        .grub_bios = any({"/boot/grub/i386-pc", "/boot/grub2/i386-pc"}),
                        .grub_efi_package = any({"/usr/lib/grub/x86_64-efi", "/usr/lib/grub/x86_64-efi-signed"}),
                        .grub_bios_package = any({"/usr/lib/grub/i386-pc"}),
                        .disk = look_at_disk(repair.request.disk)};
    const auto verdict = judge_firmware(repair.request.firmware, facts);
    repair.warn(verdict.warnings);
    if (!verdict.obstacle.empty()) return make_error(errors::kBootLoader, "{}", verdict.obstacle);
    if (repair.request.firmware != Firmware::Uefi) return {};
    return write_fallback(repair, esp, plan);
}

}  // namespace slipway::fixup
