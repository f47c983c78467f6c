// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/errors.hpp"
#include "guest-fixup/windows/disk_place.hpp"
#include "guest-fixup/windows/steps.hpp"

namespace slipway::fixup::windows {

namespace {

constexpr std::uint64_t kLargestLoader = 32u << 20;

std::string_view fallback_name(Architecture architecture) {
    switch (architecture) {
        case Architecture::X86: return "bootia32.efi";
        case Architecture::Amd64: return "bootx64.efi";
        case Architecture::Arm64: break;
    }
    return "bootaa64.efi";
}

// Windows' own boot entry is in the old machine's firmware. One that somebody put there stays.
Status add_fallback_loader(WindowsRepair& repair) {
    const auto& boot = repair.windows.boot;
    const auto loader = find_path(repair.guest, boot + "/EFI/Microsoft/Boot/bootmgfw.efi");
    if (!loader)
        return make_error(errors::kBootLoader, "the EFI system partition has no \\EFI\\Microsoft\\Boot\\bootmgfw.efi");
    const auto name = fallback_name(repair.windows.architecture);
    if (find_path(repair.guest, fmt::format("{}/EFI/Boot/{}", boot, name))) return {};
    const auto content = TRY(repair.guest.read(*loader, kLargestLoader)).value_or("");
    const auto directory = find_path(repair.guest, boot + "/EFI/Boot")
                               .value_or(find_path(repair.guest, boot + "/EFI").value_or(boot + "/EFI") + "/Boot");
    return repair.guest.write("firmware: the loader that is started without an entry of its own",
                              fmt::format("{}/{}", directory, name), content);
}

}  // namespace

Status repair_firmware(WindowsRepair& repair) {
    if (!repair.disk) return {};
    const bool gpt = repair.disk->layout.table == disks::TableKind::Gpt;
    const bool uefi = repair.request.firmware == Firmware::Uefi;
    if (gpt != uefi && repair.disk->layout.table != disks::TableKind::None)
        return make_error(
            errors::kBootLoader,
            "this Windows is on a disk with {}, which it starts from by {}, and the target's firmware is {}",
            gpt ? "a GPT" : "an MBR", gpt ? "UEFI" : "a BIOS", uefi ? "UEFI" : "a BIOS");
    if (!uefi) return {};
    if (repair.windows.boot.empty()) {
        repair.warn("the EFI system partition was not looked at: its fallback loader may be missing");
        return {};
    }
    return add_fallback_loader(repair);
}

}  // namespace slipway::fixup::windows
