// SPDX-License-Identifier: GPL-3.0-or-later
// What of a system starts by which firmware: the fallback loader of UEFI, and what is said when a BIOS system meets
// UEFI or the other way round. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/fixup.hpp"
#include "lib/base/bytes.hpp"

namespace slipway::fixup {

// A directory of the EFI system partition's /EFI.
struct EspDirectory {
    std::string name;
    std::vector<std::string> files;
};

// What makes \EFI\BOOT start the system by itself: firmware that knows no boot entry of it, as that of a new machine,
// starts \EFI\BOOT\BOOTX64.EFI (UEFI 2.10, 3.5.1.1).
struct FallbackPlan {
    struct Copy {
        std::string from, to;  // below /EFI
    };
    std::string source;  // "EFI/debian"; empty: no loader was found
    std::vector<Copy> copies;
    std::string grub_config;  // for EFI/BOOT/grub.cfg, when GRUB looks beside itself; empty: not needed
};
// Empty copies and a source: the fallback loader is there already. id: ID of os-release, whose directory comes first.
FallbackPlan plan_fallback(const std::vector<EspDirectory>& directories, std::string_view id);

enum class BootCode { None, Grub, Lilo, Other };
BootCode boot_code_in(ByteView first_sector);

struct FirmwareFacts {
    bool esp = false;               // mounted, with a directory EFI
    std::string efi_loader;         // "EFI/debian"
    bool grub_bios = false;         // /boot/grub/i386-pc
    bool grub_efi_package = false;  // /usr/lib/grub/x86_64-efi
    bool grub_bios_package = false;
    // Of the disk itself; absent when only a mounted root was given.
    struct Disk {
        bool gpt = false, esp = false, bios_boot_partition = false;
        BootCode code = BootCode::None;
    };
    std::optional<Disk> disk;
};

struct FirmwareVerdict {
    std::string obstacle;  // it cannot start; empty: nothing stands against it
    std::vector<std::string> warnings;
};
FirmwareVerdict judge_firmware(Firmware target, const FirmwareFacts& facts);

}  // namespace slipway::fixup
