// SPDX-License-Identifier: GPL-3.0-or-later
// systemd.network(5), systemd.netdev(5) and systemd.link(5).
#include "guest-fixup/network/config.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr std::size_t kMostCards = 64;  // that one file selects

struct Parser {
    Reading reading;
    Interface interface;
    std::vector<MacAddress> cards;
    std::string original, given;
    bool matches = false;

    void add_macs(Span value) {
        for (const auto& use : macs_in(value)) {
            reading.selectors.push_back(use);
            if (cards.size() < kMostCards) cards.push_back(use.mac);
        }
    }

    void match(std::string_view key, Span value) {
        matches = true;
        if (key == "MACAddress" || key == "PermanentMACAddress") add_macs(value);
        if (key == "Name") interface.name = is_pattern(value.text) ? "" : std::string(value.text);
        if (key == "OriginalName") original = value.text;
        if (key == "Path" || key == "Driver" || key == "Property")
            interface.hardware = std::string(key) + "=" + std::string(value.text);
        if (key == "Type" || key == "Kind")
            if (value.text != "ether" && !value.text.starts_with('!')) interface.kind = InterfaceKind::Other;
    }

    void network(std::string_view key, std::string_view value) {
        if (key == "DHCP")
            interface.dhcp = iequals(value, "yes") || iequals(value, "true") || value == "1" ||
                             iequals(value, "ipv4") || iequals(value, "both") || iequals(value, "v4");
        if (key == "Bond" || key == "Bridge") interface.upper = value;
    }

    void netdev(std::string_view key, Span value) {
        if (key == "Name") interface.name = value.text;
        if (key == "Kind") {
            interface.kind = value.text == "bond" || value.text == "team" ? InterfaceKind::Bond
                             : value.text == "vlan"                       ? InterfaceKind::Vlan
                             : value.text == "bridge"                     ? InterfaceKind::Bridge
                                                                          : InterfaceKind::Other;
        }
        sets(key, value);
    }

    void sets(std::string_view key, Span value) {
        if (key != "MACAddress") return;
        if (const auto macs = macs_in(value); !macs.empty()) interface.sets = macs[0].mac;
    }
};

// "/etc/systemd/network/10-a.network.d/x.conf" is a part of "10-a.network", wherever that is.
std::string unit_of(std::string_view path) {
    auto directory = path.substr(0, path.rfind('/'));
    if (directory.ends_with(".d")) {
        directory.remove_suffix(2);
        return std::string(directory.substr(directory.rfind('/') + 1));
    }
    return std::string(path.substr(path.rfind('/') + 1));
}

}  // namespace

Reading read_networkd(std::string_view path, std::string_view text) {
    Parser parser;
    auto& interface = parser.interface;
    interface.id = unit_of(path);
    const bool link = interface.id.ends_with(".link"), netdev = interface.id.ends_with(".netdev");
    if (!link && !netdev && !interface.id.ends_with(".network")) return {};
    for (const auto& setting : settings_of(text)) {
        const auto key = setting.key.text;
        if (setting.section == "Match" && !netdev) parser.match(key, setting.value);
        else if (setting.section == "Network") parser.network(key, setting.value.text);
        else if (setting.section == "NetDev") parser.netdev(key, setting.value);
        else if (setting.section == "Link") {
            parser.sets(key, setting.value);
            if (link && key == "Name") parser.given = setting.value.text;
        }
    }
    interface.names_only = link;
    if (link) interface.name = parser.given;
    if (link && parser.cards.empty() && interface.hardware.empty()) return std::move(parser.reading);
    if (interface.kind == InterfaceKind::Ethernet) interface.kind = kind_of_name(interface.name);
    if (parser.cards.empty()) {
        interface.any = parser.matches && interface.name.empty() && interface.hardware.empty() && !link;
        parser.reading.interfaces.push_back(interface);
    }
    for (const auto& mac : parser.cards) {
        interface.selects = mac;
        parser.reading.interfaces.push_back(interface);
    }
    return std::move(parser.reading);
}

}  // namespace slipway::fixup
