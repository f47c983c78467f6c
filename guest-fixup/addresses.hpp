// SPDX-License-Identifier: GPL-3.0-or-later
// Addresses for a clone: what each configuration system is told. Pure text. What an interface had before is replaced,
// and nothing else of the files.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/personality.hpp"

namespace slipway::fixup {

// interfaces(5): without the stanzas and the auto and allow-* words of this interface, and with its new ones at the
// end.
std::string ifupdown_interface(std::string_view text, const InterfaceSetup& setup);
std::string without_ifupdown(std::string_view text, std::string_view name);
// Red Hat's ifcfg-NAME: the keys that say addresses are new, the others (BOND, ZONE, DEVICE) stay.
std::string red_hat_ifcfg(std::string_view text, const InterfaceSetup& setup);
// SUSE's, and its ifroute-NAME ("" without a gateway).
std::string suse_ifcfg(std::string_view text, const InterfaceSetup& setup);
std::string suse_ifroute(const InterfaceSetup& setup);
std::string keyfile(const InterfaceSetup& setup);  // a NetworkManager connection
std::string networkd_unit(const InterfaceSetup& setup);
// netplan's YAML: without the block of this interface below ethernets:.
std::string without_netplan(std::string_view text, std::string_view name);
std::string netplan_file(const std::vector<InterfaceSetup>& setups);
std::string resolv_conf(const InterfaceSetup& setup);

}  // namespace slipway::fixup
