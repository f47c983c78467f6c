// SPDX-License-Identifier: GPL-3.0-or-later
// The TFTP room's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::tftp::errors {

inline constexpr ErrorId kPacket{"tftp.packet", "Not TFTP, or damaged on the way; nothing to do unless it repeats.",
                                 false};
inline constexpr ErrorId kNotFound{"tftp.not-found", "Check the boot file's name and that it is in the boot directory.",
                                   false};
inline constexpr ErrorId kAccess{
    "tftp.access", "Only plain files below the boot directory are served; links and '..' are not.", false};
inline constexpr ErrorId kChanged{
    "tftp.changed", "The file was changed while a client read it; the client asks again. Replace boot files by rename.",
    true};
inline constexpr ErrorId kMode{"tftp.mode", "Ask for mode octet, or netascii for text.", false};
inline constexpr ErrorId kExists{"tftp.exists", "An upload never replaces a file; remove or rename the old one first.",
                                 false};
inline constexpr ErrorId kListen{
    "tftp.listen", "Another TFTP server may hold the port (ss -lunp); stop it or choose another port.", false};

}  // namespace slipway::tftp::errors
