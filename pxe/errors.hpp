// SPDX-License-Identifier: GPL-3.0-or-later
// The PXE room's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::pxe::errors {

inline constexpr ErrorId kSettings{"pxe.settings",
                                   "Give at least one interface with its IPv4 address for network boot.", false};
inline constexpr ErrorId kLoader{
    "pxe.loader", "Install Debian's package ipxe, which holds the boot loaders served to PXE clients.", false};

}  // namespace slipway::pxe::errors
