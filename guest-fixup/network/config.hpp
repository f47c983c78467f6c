// SPDX-License-Identifier: GPL-3.0-or-later
// What a guest's configuration files say of its network interfaces, whichever system reads them. One reader for each
// system; each says which addresses in the text select a card, and those alone are moved to the new card. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/network/text.hpp"
#include "lib/base/net.hpp"

namespace slipway::fixup {

enum class ConfigKind {
    ByPath,
    CommandLine,
    Ifupdown,  // sourced from somewhere
    Text,      // nothing in it selects a card in a way that is known here
};

struct ConfigFile {
    std::string path, text;
    ConfigKind kind = ConfigKind::ByPath;
};

enum class InterfaceKind { Ethernet, Bond, Vlan, Bridge, Loopback, Other };

struct Interface {
    std::string path;  // the file that says so
    std::string id;  // pieces with one id, in several files, are one interface: netplan's key, a unit and its drop-ins
    std::string name;  // empty: selected by something else
    InterfaceKind kind = InterfaceKind::Ethernet;
    std::optional<MacAddress> selects;  // the address of the card this is meant for
    std::optional<MacAddress> sets;     // the address the interface is given
    std::string hardware;               // what else selects the card, as it stands: "Driver=e1000e"
    std::vector<std::string> lower;     // members of a bond or bridge, parent of a VLAN
    std::string upper;                  // the bond or bridge it is a member of
    bool dhcp = false;
    bool names_only = false;  // gives a name and configures nothing: .link, udev rules
    bool any = false;         // fits whatever card there is
    bool name_is_id = false;  // netplan: so called unless another piece matches a card
};

struct Reading {
    std::vector<Interface> interfaces;
    std::vector<MacUse> selectors;  // ascending
    std::vector<std::string> notes;
};

Reading read_ifupdown(std::string_view text);
Reading read_ifcfg(std::string_view path, std::string_view text);  // RHEL's and SUSE's
Reading read_keyfile(std::string_view text);                       // a NetworkManager connection
Reading read_networkmanager_conf(std::string_view text);
Reading read_networkd(std::string_view path, std::string_view text);  // .network, .netdev, .link and their drop-ins
Reading read_netplan(std::string_view text);  // also cloud-init's network configuration, versions 1 and 2
Reading read_wicked(std::string_view text);
Reading read_udev_rules(std::string_view text);
Reading read_table(std::string_view text);             // /etc/iftab, /etc/mactab
Reading read_kernel_arguments(std::string_view text);  // dracut's ifname=NAME:ADDRESS, wherever a command line stands

// The reader is chosen by where the file is.
Reading read_config(const ConfigFile& file);

// ifupdown's `source` and `source-directory`: patterns as they stand.
struct Sources {
    std::vector<std::string> files, directories;
};
Sources sources_of(std::string_view text);

// The copies that editors and rpm leave are read by nobody.
bool is_backup(std::string_view name);

// By its name alone: "bond0" is none of the cards.
InterfaceKind kind_of_name(std::string_view name);

}  // namespace slipway::fixup
