// SPDX-License-Identifier: GPL-3.0-or-later
// Network identity: an interface keeps its old name although slot and MAC address are new. Pure text; who is who in the
// guest's configuration is in network/.
#pragma once

#include <string>
#include <string_view>

#include "lib/base/net.hpp"

namespace slipway::fixup {

bool valid_interface(std::string_view name);  // as the kernel takes it, and safe in a file name
// Of any guest: an interface, or a connection of Windows ("Local Area Connection 2"); safe to show, no file name.
bool valid_adapter_name(std::string_view name);
bool kernel_reserved(std::string_view name);  // eth0, wlan1: the kernel hands these out itself

// systemd.link(5): the interface with this MAC address gets this name. hardware_only: VLANs, bonds and bridges with the
// same address are told apart from the card by the place on a bus that they have not.
std::string link_file(std::string_view name, const MacAddress& mac, bool hardware_only = false);
// A line of 70-persistent-net.rules, for guests whose udev knows no .link files.
std::string persistent_rule(std::string_view name, const MacAddress& mac);
// The comment that says to a second repair that this adapter was moved already.
std::string was_line(std::string_view name, const MacAddress& old_mac, const MacAddress& new_mac);

// In 70-persistent-net.rules: the line that names NAME gets the new address; other lines that claim the new address
// go, since two lines for one card would swap names.
std::string edit_persistent_rules(std::string_view text, std::string_view name, const MacAddress& new_mac);

}  // namespace slipway::fixup
