// SPDX-License-Identifier: GPL-3.0-or-later
// Network identity: an interface keeps its old name although slot and MAC address are new. Pure text.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "lib/base/net.hpp"

namespace slipway::fixup {

bool valid_interface(std::string_view name);  // as the kernel takes it, and safe in a file name
bool kernel_reserved(std::string_view name);  // eth0, wlan1: the kernel hands these out itself

// systemd.link(5): the interface with this MAC address gets this name.
std::string link_file(std::string_view name, const MacAddress& mac);
// A line of 70-persistent-net.rules, for guests whose udev knows no .link files.
std::string persistent_rule(std::string_view name, const MacAddress& mac);

// Every spelling of an old address (any case, ':' or '-') becomes its new one, all in one pass.
using MacMap = std::map<MacAddress, MacAddress>;
std::string replace_macs(std::string_view text, const MacMap& new_by_old);
// In 70-persistent-net.rules: the line that names NAME gets the new address; other lines that claim the new address
// go, since two lines for one card would swap names.
std::string edit_persistent_rules(std::string_view text, std::string_view name, const MacAddress& new_mac);

struct NamedMac {
    std::string name;
    MacAddress mac;
};
// Which name a configuration file gives to which address: udev rules, .link, ifcfg, NetworkManager, netplan.
std::vector<NamedMac> named_macs(std::string_view text);
// Interfaces that configuration mentions by name (ifupdown, ifcfg DEVICE=, .network Name=, NetworkManager
// interface-name=, netplan ethernets), without lo, bridges and patterns.
std::vector<std::string> interfaces_in(std::string_view path, std::string_view text);

}  // namespace slipway::fixup
