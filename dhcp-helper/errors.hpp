// SPDX-License-Identifier: GPL-3.0-or-later
// The DHCP room's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::dhcp::errors {

inline constexpr ErrorId kPacket{"dhcp.packet", "Not DHCP, or damaged on the way; nothing to do unless it repeats.",
                                 false};
inline constexpr ErrorId kListen{
    "dhcp.listen", "Another DHCP or PXE server may hold the port (ss -lunp), or the interface's name is wrong.", false};
inline constexpr ErrorId kInterface{"dhcp.interface", "`ip -br link` lists the interfaces there are.", false};
inline constexpr ErrorId kConfig{
    "dhcp.config", "Correct the subnet: its ranges and reservations lie inside it, apart from each other.", false};
inline constexpr ErrorId kOtherServer{
    "dhcp.other-server",
    "Two DHCP servers on one segment give the same address twice. Switch that one off, or leave the segment to it and "
    "take its --dhcp away: proxyDHCP (--netboot) works beside it. If both are meant to be: --dhcp-authorized IFACE.",
    false};
inline constexpr ErrorId kJournal{
    "dhcp.journal", "Is the path right, and does another server use it? Move a foreign file away.", false};
inline constexpr ErrorId kForeignConfig{
    "dhcp.foreign-config", "Nothing was changed. Correct the file, or add the fragment by hand (dhcp-coexist show).",
    false};
inline constexpr ErrorId kWhichConfig{"dhcp.which-config", "Name the file, and its kind by --kind isc|kea|dnsmasq.",
                                      false};

}  // namespace slipway::dhcp::errors
