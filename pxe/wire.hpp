// SPDX-License-Identifier: GPL-3.0-or-later
// PXE on the wire: Intel's PXE 2.1 (1999), RFC 4578, RFC 5970 and IANA's list of processor architectures.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace slipway::pxe {

enum class Arch : std::uint16_t {  // option 93
    Bios = 0,
    EfiIa32 = 6,
    EfiBc = 7,
    EfiX64 = 9,
    EfiArm64 = 11,
    HttpX64 = 16,
    HttpArm64 = 19,
};

enum class Medium { Pxe, Http };

struct ArchRow {
    Arch arch;
    std::string_view name;
    Medium medium;
    std::string_view loader;  // a file of Debian's package ipxe; empty: we have none
};
inline constexpr std::array kArchs = std::to_array<ArchRow>({
    {Arch::Bios, "BIOS", Medium::Pxe, "undionly.kpxe"},
    {Arch::EfiIa32, "UEFI IA32", Medium::Pxe, ""},
    // Quirk: RFC 4578 swapped 7 and 9; firmware of UEFI x64 says either (EDK2 and most say 7).
    {Arch::EfiBc, "UEFI x64", Medium::Pxe, "snponly.efi"},
    {Arch::EfiX64, "UEFI x64", Medium::Pxe, "snponly.efi"},
    {Arch::EfiArm64, "UEFI ARM64", Medium::Pxe, ""},
    {Arch::HttpX64, "UEFI x64 HTTP boot", Medium::Http, "snponly.efi"},
    {Arch::HttpArm64, "UEFI ARM64 HTTP boot", Medium::Http, ""},
});
const ArchRow* row_of(Arch arch);  // nullptr: unknown

inline constexpr std::string_view kPxeClass = "PXEClient";    // option 60, PXE 2.1 §2.2
inline constexpr std::string_view kHttpClass = "HTTPClient";  // UEFI 2.5 §23.7

enum class Suboption : std::uint8_t {  // of option 43, PXE 2.1 table 2-1
    DiscoveryControl = 6,
    BootServers = 8,
    BootMenu = 9,
    MenuPrompt = 10,
    BootItem = 71,
};

// Discovery control, PXE 2.1 table 2-1: take the file named in the offer, no menu and no discovery.
inline constexpr std::uint8_t kUseOfferedFile = 0x08;

}  // namespace slipway::pxe
