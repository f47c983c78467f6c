// SPDX-License-Identifier: GPL-3.0-or-later
// The PXE room's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::pxe::errors {

inline constexpr ErrorId kSettings{"pxe.settings",
                                   "Give at least one interface with its IPv4 address for network boot.", false};
inline constexpr ErrorId kLoader{
    "pxe.loader", "Install Debian's package ipxe, which holds the boot loaders served to PXE clients.", false};

// Why a boot client gets no answer.
inline constexpr ErrorId kOtherServer{
    "pxe.other-server",
    "Find whose it is by its address and switch it off, or leave the segment to it: `dhcp-coexist find IFACE` asks who "
    "is "
    "there. A second server that is meant: --dhcp-authorized IFACE, which a restart needs beside it."};
inline constexpr ErrorId kIgnored{"pxe.ignored", "See `slipway device show` for what its next network boot does."};
inline constexpr ErrorId kNoArchitecture{
    "pxe.no-architecture",
    "Its firmware says neither in option 93 nor in option 60 what it is: update it, or boot the "
    "agent from a stick."};
inline constexpr ErrorId kArchitecture{"pxe.architecture",
                                       "Slipway boots x86 BIOS and UEFI on x64, IA32 and ARM64; docs/booting.md."};
inline constexpr ErrorId kNoHttp{"pxe.no-http", "Start the server with --http-port, or let the firmware boot by PXE."};
inline constexpr ErrorId kNoLoader{
    "pxe.no-loader", "Install the package, or put the file into STATE/boot/loaders, as the message says."};
inline constexpr ErrorId kShimOnBios{"pxe.shim-on-bios", "`slipway device set NAME --loader auto`."};
inline constexpr ErrorId kFloppyOnUefi{
    "pxe.floppy-on-uefi",
    "UEFI has no floppy drives to emulate: give an ISO image, or switch the machine's firmware to BIOS boot."};
inline constexpr ErrorId kIsoUnderSecureBoot{"pxe.iso-under-secure-boot",
                                             "An ISO is booted by iPXE, which Secure Boot refuses: switch Secure Boot "
                                             "off in the firmware and say so by `slipway "
                                             "device set NAME --secure-boot off`."};
inline constexpr ErrorId kImage{"pxe.image",
                                "See `slipway netboot images` for the images there are in STATE/boot/images."};

}  // namespace slipway::pxe::errors
