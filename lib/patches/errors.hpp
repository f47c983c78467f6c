// SPDX-License-Identifier: GPL-3.0-or-later
// The patch library's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::patches::errors {

inline constexpr ErrorId kPe{"patches.pe",
                             "Take the file from the Windows CD or service pack again: this copy is damaged."};
inline constexpr ErrorId kNotSystemFile{
    "patches.not-system-file", "Only HALs and kernels of 32-bit Windows NT 4 to Server 2003 belong in the library."};
inline constexpr ErrorId kArchive{"patches.archive",
                                  "Take the archive from the Windows CD or service pack again: this copy is damaged."};
inline constexpr ErrorId kDiffers{
    "patches.differs",
    "The library keeps what it has. Remove that file from the library if the new one is to be kept."};
inline constexpr ErrorId kTooMuch{"patches.too-much", "Name a folder closer to the files, such as the CD's I386."};
inline constexpr ErrorId kHal{"patches.hal", "Choose another --fixhal; docs/windows.md says which fits which Windows."};

}  // namespace slipway::patches::errors
