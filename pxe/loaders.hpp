// SPDX-License-Identifier: GPL-3.0-or-later
// The boot loaders there are, and which chain a client is started on: pure.
//
//   BIOS                   undionly.kpxe (iPXE) -> script
//   UEFI x64               snponly.efi (iPXE) -> script, where Secure Boot is known to be off; otherwise
//                          shimx64.efi -> grubx64.efi -> grub.cfg -> Debian's kernel, each signed
//   UEFI x64 by HTTP       the same; shim and GRUB as a disk image, since GRUB has no network of its own there
//   UEFI IA32              grubia32.efi, a GRUB that the server makes -> grub.cfg
//   UEFI ARM64             arm64.efi, the operator's own
#pragma once

#include <array>
#include <string>
#include <string_view>

#include "lib/base/result.hpp"
#include "pxe/wire.hpp"

namespace slipway::pxe {

// A file STATE/boot/loaders/NAME goes before the package's.
struct LoaderRow {
    std::string_view name;                      // as clients ask for it: shim asks for "grubx64.efi" beside itself
    Firmware firmware;                          // whose it is
    std::string_view directory, file, package;  // where Debian has it; empty: in no package
    std::string_view absent;                    // what to do when it is not there
};
inline constexpr std::array kLoaders = std::to_array<LoaderRow>({
    {"undionly.kpxe", Firmware::Bios, "/usr/lib/ipxe", "undionly.kpxe", "ipxe", "install ipxe"},
    {"snponly.efi", Firmware::EfiX64, "/usr/lib/ipxe", "snponly.efi", "ipxe", "install ipxe"},
    {"shimx64.efi", Firmware::EfiX64, "/usr/lib/shim", "shimx64.efi.signed", "shim-signed", "install shim-signed"},
    {"grubx64.efi", Firmware::EfiX64, "/usr/lib/grub/x86_64-efi-signed", "grubnetx64.efi.signed",
     "grub-efi-amd64-signed", "install grub-efi-amd64-signed"},
    {"memdisk", Firmware::Bios, "/usr/lib/syslinux", "memdisk", "syslinux-common", "install syslinux-common"},
    {"shimx64.img", Firmware::EfiX64, "", "", "",
     "install shim-signed, grub-efi-amd64-signed and mtools, then restart the server"},
    {"grubia32.efi", Firmware::EfiIa32, "", "", "",
     "install grub-efi-ia32-bin and grub-common, then restart the server"},
    {"localx64.efi", Firmware::EfiX64, "", "", "",
     "install grub-efi-amd64-bin and grub-common, then restart the server"},
    {"arm64.efi", Firmware::EfiArm64, "", "", "",
     "put a boot loader for ARM64 there, an iPXE (snponly.efi for arm64) or a GRUB"},
});
const LoaderRow* loader_row(std::string_view name);  // nullptr: none of these

enum class SecureBoot { Unknown, Off, On };
inline constexpr std::array<std::string_view, 3> kSecureBootNames{"unknown", "off", "on"};
std::string_view name_of(SecureBoot state);
SecureBoot secure_boot_from(std::string_view name);  // anything else: Unknown

// What a device's operator may want instead of the table: "auto", "ipxe", "shim", or a file of STATE/boot/loaders.
inline constexpr std::string_view kAuto = "auto", kIpxe = "ipxe", kShim = "shim";
bool valid_loader(std::string_view text);

// Whether a chain ends in iPXE's scripts or in GRUB's; a file of the operator's own: not known.
struct Chain {
    std::string loader;  // first file
    enum class Kind { Ipxe, Grub, Own } kind = Kind::Ipxe;
    bool operator==(const Chain&) const = default;
};
// Errors: pxe.architecture, pxe.shim-on-bios.
Result<Chain> choose_chain(const ArchRow& client, SecureBoot secure_boot, std::string_view wanted);

}  // namespace slipway::pxe
