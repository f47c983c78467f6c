// SPDX-License-Identifier: GPL-3.0-or-later
// ifcfg-* of RHEL's initscripts and NetworkManager (/etc/sysconfig/network-scripts) and of SUSE's sysconfig and wicked
// (/etc/sysconfig/network): shell assignments.
#include <cctype>

#include "guest-fixup/network.hpp"
#include "guest-fixup/network/config.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

bool yes(std::string_view value) { return iequals(value, "yes") || iequals(value, "true") || value == "1"; }

bool numbered(std::string_view key, std::string_view prefix) {
    return key.size() > prefix.size() && key.starts_with(prefix) &&
           (std::isdigit(static_cast<unsigned char>(key.back())) != 0);
}

struct Parser {
    Reading reading;
    Interface interface;
    std::string type;

    void select(Span value, bool selects) {
        for (const auto& use : macs_in(value)) {
            if (selects) interface.selects = use.mac;
            reading.selectors.push_back(use);
        }
    }

    void upper_or_lower(std::string_view key, std::string_view value) {
        if (key == "MASTER" || key == "TEAM_MASTER") interface.upper = value;
        if (key == "BRIDGE" && !yes(value) && !iequals(value, "no")) interface.upper = value;
        if (key == "PHYSDEV" || key == "ETHERDEVICE" || numbered(key, "BONDING_SLAVE"))
            interface.lower.emplace_back(value);
        if (key == "BRIDGE_PORTS")
            for (const auto& word : words_of({0, value})) interface.lower.emplace_back(word.text);
    }

    void kind(std::string_view key, std::string_view value) {
        auto& kind = interface.kind;
        if (key == "BONDING_OPTS" || (key == "BONDING_MASTER" && yes(value))) kind = InterfaceKind::Bond;
        if ((key == "VLAN" && yes(value)) || key == "ETHERDEVICE") kind = InterfaceKind::Vlan;
        if (key == "BRIDGE" && yes(value)) kind = InterfaceKind::Bridge;
        if (key != "TYPE") return;
        if (iequals(value, "Bond") || iequals(value, "Team")) kind = InterfaceKind::Bond;
        else if (iequals(value, "Vlan")) kind = InterfaceKind::Vlan;
        else if (iequals(value, "Bridge")) kind = InterfaceKind::Bridge;
        else if (!iequals(value, "Ethernet")) kind = InterfaceKind::Other;
    }

    void setting(const Setting& setting) {
        const auto key = setting.key.text;
        const auto value = unquoted(setting.value);
        if (key == "DEVICE") interface.name = value.text.substr(0, value.text.find(':'));
        else if (key == "HWADDR" || key == "HWADDR_BLACKLIST") select(value, key == "HWADDR");
        else if (key == "MACADDR" || key == "LLADDR") {
            if (const auto macs = macs_in(value); !macs.empty()) interface.sets = macs[0].mac;
        } else if (key == "BOOTPROTO")
            interface.dhcp = value.text.find("dhcp") != std::string_view::npos || value.text == "bootp";
        upper_or_lower(key, value.text);
        kind(key, value.text);
    }
};

}  // namespace

bool is_backup(std::string_view name) {
    for (std::string_view end : {".bak", ".old", ".orig", ".rpmnew", ".rpmsave", ".rpmorig", "~", ".swp"})
        if (name.ends_with(end)) return true;
    return false;
}

Reading read_ifcfg(std::string_view path, std::string_view text) {
    const auto of_name = path.substr(path.rfind("ifcfg-") == std::string_view::npos ? 0 : path.rfind("ifcfg-") + 6);
    Parser parser;
    if (is_backup(of_name)) return {};
    for (const auto& setting : settings_of(text)) parser.setting(setting);
    auto& interface = parser.interface;
    const auto by_file = of_name.substr(0, of_name.find(':'));
    if (of_name.starts_with("eth-id-")) {
        parser.reading.notes.push_back(
            "is named by a card's address, as SUSE Linux up to 10 had it: rename it by hand");
    } else if (interface.name.empty() && !interface.selects && valid_interface(by_file)) interface.name = by_file;
    if (interface.kind == InterfaceKind::Ethernet) interface.kind = kind_of_name(interface.name);
    if (interface.kind == InterfaceKind::Vlan && interface.lower.empty())
        if (const auto dot = interface.name.find('.'); dot != std::string::npos)
            interface.lower.push_back(interface.name.substr(0, dot));
    if (!interface.name.empty() || interface.selects) parser.reading.interfaces.push_back(std::move(interface));
    return std::move(parser.reading);
}

}  // namespace slipway::fixup
