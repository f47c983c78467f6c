// SPDX-License-Identifier: GPL-3.0-or-later
// NetworkManager's connections, nm-settings-keyfile(5), and NetworkManager.conf(5).
#include "guest-fixup/network/config.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

InterfaceKind kind_of_type(std::string_view type) {
    if (type.empty() || type == "ethernet" || type == "802-3-ethernet") return InterfaceKind::Ethernet;
    if (type == "bond" || type == "team") return InterfaceKind::Bond;
    if (type == "vlan") return InterfaceKind::Vlan;
    if (type == "bridge") return InterfaceKind::Bridge;
    if (type == "loopback") return InterfaceKind::Loopback;
    return InterfaceKind::Other;
}

struct Parser {
    Reading reading;
    Interface interface;
    bool patterns = false;

    void connection(std::string_view key, std::string_view value) {
        if (key == "uuid") interface.id = value;
        if (key == "type") interface.kind = kind_of_type(value);
        if (key == "interface-name") interface.name = value;
        if (key == "master" || key == "controller") interface.upper = value;
    }

    void ethernet(std::string_view key, Span value) {
        const auto macs = macs_in(value);
        if (key == "cloned-mac-address" && !macs.empty()) interface.sets = macs[0].mac;
        if (key != "mac-address" && key != "mac-address-blacklist" && key != "mac-address-denylist") return;
        if (key == "mac-address" && !macs.empty()) interface.selects = macs[0].mac;
        reading.selectors.insert(reading.selectors.end(), macs.begin(), macs.end());
    }

    void match(std::string_view key, std::string_view value) {
        if (value.empty()) return;
        patterns = true;
        if (key == "path" || key == "driver") interface.hardware = std::string(key) + "=" + std::string(value);
        if (key == "interface-name" && interface.name.empty() && !is_pattern(value) && value.find('!') != 0)
            interface.name = value.substr(0, value.find(';'));
    }
};

}  // namespace

Reading read_keyfile(std::string_view text) {
    Parser parser;
    bool connection = false;
    for (const auto& setting : settings_of(text)) {
        const auto key = setting.key.text;
        const auto value = setting.value.text;
        if (setting.section == "connection") {
            connection = true;
            parser.connection(key, value);
        } else if (setting.section == "ethernet" || setting.section == "802-3-ethernet")
            parser.ethernet(key, setting.value);
        else if (setting.section == "match") parser.match(key, value);
        else if (setting.section == "vlan" && key == "parent") parser.interface.lower.emplace_back(value);
        else if (setting.section == "ipv4" && key == "method") parser.interface.dhcp = value == "auto";
    }
    auto& interface = parser.interface;
    if (!connection) return std::move(parser.reading);
    interface.any = interface.kind == InterfaceKind::Ethernet && interface.name.empty() && !interface.selects &&
                    interface.hardware.empty();
    parser.reading.interfaces.push_back(std::move(interface));
    return std::move(parser.reading);
}

Reading read_networkmanager_conf(std::string_view text) {
    Reading reading;
    for (const auto& setting : settings_of(text)) {
        const auto key = setting.key.text;
        if (key != "unmanaged-devices" && key != "match-device" && key != "no-auto-default" &&
            key != "assume-ipv6ll-only" && key != "ignore-carrier")
            continue;
        for (const auto& use : macs_in(setting.value)) reading.selectors.push_back(use);
    }
    return reading;
}

}  // namespace slipway::fixup
