// SPDX-License-Identifier: GPL-3.0-or-later
// Which program configures this guest's network: of those that it starts, the one that has configuration. What is only
// installed reads nothing.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "guest-fixup/guest.hpp"
#include "guest-fixup/network/config.hpp"
#include "guest-fixup/personality.hpp"

namespace slipway::fixup {

// By the files that are written; RedHat's are read by the service "network" and by a NetworkManager with its plugin.
enum class NetworkSystem { Netplan, RedHat, Suse, Ifupdown, NetworkManager, Networkd };

struct NetworkPrograms {
    std::set<NetworkSystem> started;     // their configuration is read at the guest's start
    std::vector<std::string> installed;  // names to show, of what is there and known here
    // Asks DHCP for an address on a card that nothing configures; empty: nothing does.
    std::string asks_dhcp;
    bool connman = false;      // started
    std::string not_writable;  // started, and nothing here writes its configuration
};
// files: network_files().
NetworkPrograms network_programs(const Guest& guest, const std::vector<ConfigFile>& files);

// All files that configure the network of a guest, by the systems known here; warnings: what was not looked at.
std::vector<ConfigFile> network_files(const Guest& guest, std::vector<std::string>& warnings);

// Pure: where this interface's configuration goes; nothing: none is started. The one that has configuration for it,
// else one that fits any card, else one that configures other cards. After the edit the answer is the same.
std::optional<NetworkSystem> system_for(const std::set<NetworkSystem>& started, const std::vector<ConfigFile>& files,
                                        const InterfaceSetup& setup);

}  // namespace slipway::fixup
