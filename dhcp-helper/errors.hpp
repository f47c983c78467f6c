// SPDX-License-Identifier: GPL-3.0-or-later
// The DHCP room's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::dhcp::errors {

inline constexpr ErrorId kPacket{"dhcp.packet", "Not DHCP, or damaged on the way; nothing to do unless it repeats.",
                                 false};
inline constexpr ErrorId kListen{
    "dhcp.listen", "Another DHCP or PXE server may hold the port (ss -lunp), or the interface's name is wrong.", false};

}  // namespace slipway::dhcp::errors
