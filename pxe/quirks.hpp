// SPDX-License-Identifier: GPL-3.0-or-later
// Firmware that wants other treatment, as rows: who it is by its SMBIOS strings, and what is done for it.
// docs/quirks.md has the stories, and those of packets (named "Quirk:" in policy.cpp).
#pragma once

#include <array>
#include <string_view>

namespace slipway::pxe {

// How a machine that iPXE or GRUB has been started on goes on to its disk.
enum class LocalBoot {
    Auto,       // by the table below; else iPXE exits, GRUB chain-loads
    Exit,       // back to the firmware, which goes on with its next boot device
    SanBoot,    // iPXE starts the first BIOS disk itself
    ChainLoad,  // the boot loader of the disk's EFI system partition is started
};
inline constexpr std::array<std::string_view, 4> kLocalBootNames{"auto", "exit", "sanboot", "chainload"};
std::string_view name_of(LocalBoot way);
LocalBoot local_boot_from(std::string_view name);  // anything else: Auto

struct FirmwareIs {
    std::string_view vendor, product, version;  // of the machine and of its BIOS, as the agent reports them
    bool uefi = false;
};

struct QuirkRow {
    std::string_view name;             // in docs/quirks.md
    std::string_view vendor, product;  // beginnings, any case; empty: any
    bool uefi;
    LocalBoot local_boot;
};
inline constexpr std::array kQuirks = std::to_array<QuirkRow>({
    // The first that fits is taken.
    {"qemu-ovmf", "QEMU", "", true, LocalBoot::ChainLoad},
});
const QuirkRow* quirk_of(const FirmwareIs& firmware);  // nullptr: it is as others

}  // namespace slipway::pxe
