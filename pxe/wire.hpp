// SPDX-License-Identifier: GPL-3.0-or-later
// PXE on the wire: Intel's PXE 2.1 (1999), RFC 4578, RFC 5970 and IANA's list of processor architectures.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace slipway::pxe {

enum class Arch : std::uint16_t {  // option 93; the numbers that policy and tests speak of, kArchs has them all
    Bios = 0,
    EfiIa32 = 6,
    EfiX64 = 7,
    EfiBc = 9,
    EfiArm64 = 11,
    HttpIa32 = 15,
    HttpX64 = 16,
    HttpArm64 = 19,
};

enum class Medium { Pxe, Http };

// Whose boot loaders it runs; None: nobody's that we know.
enum class Firmware { None, Bios, EfiX64, EfiIa32, EfiArm64 };

struct ArchRow {
    std::uint16_t number;
    std::string_view name;
    Medium medium;
    Firmware firmware = Firmware::None;
};
// IANA, "Dynamic Host Configuration Protocol for IPv6 (DHCPv6) Parameters", Processor Architecture Types, which is the
// list for option 93 too (RFC 5970 §3.3). Numbers beyond it are unassigned.
inline constexpr std::array kArchs = std::to_array<ArchRow>({
    {0, "x86 BIOS", Medium::Pxe, Firmware::Bios},
    {1, "NEC PC98", Medium::Pxe},
    {2, "Itanium", Medium::Pxe},
    {3, "DEC Alpha", Medium::Pxe},
    {4, "Arc x86", Medium::Pxe},
    {5, "Intel Lean Client", Medium::Pxe},
    {6, "UEFI IA32", Medium::Pxe, Firmware::EfiIa32},
    {7, "UEFI x64", Medium::Pxe, Firmware::EfiX64},
    {8, "EFI Xscale", Medium::Pxe},
    // Quirk: EFI byte code for IANA. RFC 4578 had 7 and 9 the other way round, and firmware by its letter says 9 for
    // x64.
    {9, "UEFI x64", Medium::Pxe, Firmware::EfiX64},
    {10, "UEFI ARM32", Medium::Pxe},
    {11, "UEFI ARM64", Medium::Pxe, Firmware::EfiArm64},
    {12, "PowerPC Open Firmware", Medium::Pxe},
    {13, "PowerPC ePAPR", Medium::Pxe},
    {14, "POWER OPAL v3", Medium::Pxe},
    {15, "UEFI IA32 HTTP boot", Medium::Http, Firmware::EfiIa32},
    {16, "UEFI x64 HTTP boot", Medium::Http, Firmware::EfiX64},
    {17, "EFI byte code HTTP boot", Medium::Http},
    {18, "UEFI ARM32 HTTP boot", Medium::Http},
    {19, "UEFI ARM64 HTTP boot", Medium::Http, Firmware::EfiArm64},
    {20, "x86 BIOS HTTP boot", Medium::Http},
    {21, "ARM32 U-Boot", Medium::Pxe},
    {22, "ARM64 U-Boot", Medium::Pxe},
    {23, "ARM32 U-Boot HTTP boot", Medium::Http},
    {24, "ARM64 U-Boot HTTP boot", Medium::Http},
    {25, "UEFI RISC-V 32", Medium::Pxe},
    {26, "UEFI RISC-V 32 HTTP boot", Medium::Http},
    {27, "UEFI RISC-V 64", Medium::Pxe},
    {28, "UEFI RISC-V 64 HTTP boot", Medium::Http},
    {29, "UEFI RISC-V 128", Medium::Pxe},
    {30, "UEFI RISC-V 128 HTTP boot", Medium::Http},
    {31, "s390 Basic", Medium::Pxe},
    {32, "s390 Extended", Medium::Pxe},
    {33, "UEFI MIPS 32", Medium::Pxe},
    {34, "UEFI MIPS 64", Medium::Pxe},
    {35, "UEFI Sunway 32", Medium::Pxe},
    {36, "UEFI Sunway 64", Medium::Pxe},
    {37, "UEFI LoongArch 32", Medium::Pxe},
    {38, "UEFI LoongArch 32 HTTP boot", Medium::Http},
    {39, "UEFI LoongArch 64", Medium::Pxe},
    {40, "UEFI LoongArch 64 HTTP boot", Medium::Http},
    {41, "ARM rpiboot", Medium::Pxe},
});
const ArchRow* row_of(Arch arch);  // nullptr: unassigned

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
