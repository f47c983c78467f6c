// SPDX-License-Identifier: GPL-3.0-or-later
// The ramdisk builder's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::builder::errors {

inline constexpr ErrorId kKernel{
    "builder.kernel",
    "Install linux-image-amd64 (the full kernel, not the cloud one), or name an installed version with --kernel.",
    false};
inline constexpr ErrorId kModule{
    "builder.module",
    "The kernel's modules.dep does not fit its files; run depmod for that version, or reinstall the kernel package.",
    false};
inline constexpr ErrorId kElf{"builder.elf",
                              "The program is damaged or not for x86-64 Linux; build or install it again.", false};
inline constexpr ErrorId kLibrary{
    "builder.library",
    "Install the library's package on this machine: the ramdisk takes the agent's libraries from here.", false};
inline constexpr ErrorId kNeeded{"builder.needed", "Install the package named, or give the file's path.", false};

inline constexpr ErrorId kDropIn{"builder.drop-in",
                                 "Take out of the drop-in folder what no machine's boot needs; the message names it."};

inline constexpr ErrorId kReport{"builder.report", "Build the ramdisk again."};

inline constexpr ErrorId kMedium{"builder.medium", "Correct what the message names, then make the medium again."};

inline constexpr ErrorId kInterrupted{"builder.interrupted", "Nothing was made; start it again.", false};

}  // namespace slipway::builder::errors
