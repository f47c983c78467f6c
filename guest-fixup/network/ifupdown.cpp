// SPDX-License-Identifier: GPL-3.0-or-later
// interfaces(5) of ifupdown, ifupdown2 and ifupdown-ng, Debian's and Alpine's.
#include "guest-fixup/network/config.hpp"

namespace slipway::fixup {

namespace {

struct Parser {
    Reading reading;
    std::optional<std::size_t> current;  // the iface stanza we are in

    void iface(const std::vector<Span>& words) {
        current.reset();
        if (words.size() < 2) return;
        Interface interface;
        const auto name = words[1].text.substr(0, words[1].text.find(':'));  // eth0:1 is an address of eth0
        interface.name = name;
        interface.kind = kind_of_name(name);
        if (const auto dot = name.find('.'); dot != std::string_view::npos) {
            interface.kind = InterfaceKind::Vlan;
            interface.lower.emplace_back(name.substr(0, dot));
        }
        const auto method = words.size() > 3 ? words[3].text : std::string_view();
        if (method == "loopback") interface.kind = InterfaceKind::Loopback;
        if (method == "ppp" || method == "tunnel" || method == "wvdial" || method == "v4tunnel")
            interface.kind = InterfaceKind::Other;
        interface.dhcp = method == "dhcp" || method == "bootp";
        current = reading.interfaces.size();
        reading.interfaces.push_back(std::move(interface));
    }

    void members(InterfaceKind kind, const std::vector<Span>& words) {
        auto& interface = reading.interfaces[*current];
        interface.kind = kind;
        for (std::size_t i = 1; i < words.size(); ++i)
            if (words[i].text != "none" && words[i].text != "all") interface.lower.emplace_back(words[i].text);
    }

    void option(const std::vector<Span>& words) {
        auto key = std::string(words[0].text);
        for (auto& c : key)
            if (c == '_') c = '-';
        auto& interface = reading.interfaces[*current];
        if (key == "bond-slaves" || key == "slaves") members(InterfaceKind::Bond, words);
        else if (key == "bridge-ports") members(InterfaceKind::Bridge, words);
        else if (key == "vlan-raw-device") members(InterfaceKind::Vlan, words);
        else if ((key == "bond-master" || key == "master") && words.size() > 1) interface.upper = words[1].text;
        else if (key == "bond-mode") interface.kind = InterfaceKind::Bond;
        else if (key == "use" && words.size() > 1 && words[1].text == "dhcp") interface.dhcp = true;  // ifupdown-ng
        else if (key == "hwaddress")
            for (const auto& word : words)
                if (const auto macs = macs_in(word); !macs.empty()) interface.sets = macs[0].mac;
    }

    // Of /mac/ patterns, of `rename` and of a mapping: these look for the card.
    void selects(const std::vector<Span>& words, bool renames) {
        for (const auto& word : words)
            for (const auto& use : macs_in(word)) {
                Interface interface;
                interface.selects = use.mac;
                const auto equals = word.text.find('=');
                if (renames && equals != std::string_view::npos) interface.name = word.text.substr(equals + 1);
                interface.names_only = renames;
                reading.interfaces.push_back(std::move(interface));
                reading.selectors.push_back(use);
            }
    }
};

bool begins_stanza(std::string_view word) {
    return word == "auto" || word.starts_with("allow-") || word == "mapping" || word == "rename" || word == "source" ||
           word == "source-directory" || word == "no-auto-down" || word == "no-scripts" || word == "template";
}

}  // namespace

InterfaceKind kind_of_name(std::string_view name) {
    if (name == "lo") return InterfaceKind::Loopback;
    if (name.starts_with("bond") || name.starts_with("team")) return InterfaceKind::Bond;
    if (name.starts_with("br") || name.starts_with("virbr") || name.starts_with("vmbr")) return InterfaceKind::Bridge;
    if (name.starts_with("vlan") || name.find('.') != std::string_view::npos) return InterfaceKind::Vlan;
    for (std::string_view prefix :
         {"veth", "docker", "tun", "tap", "wl", "ww", "ppp", "dummy", "wg", "sit", "gre", "ipip", "macvlan", "ifb"})
        if (name.starts_with(prefix)) return InterfaceKind::Other;
    return InterfaceKind::Ethernet;
}

Reading read_ifupdown(std::string_view text) {
    Parser parser;
    for (const auto& words : worded_lines(text)) {
        const auto word = words[0].text;
        if (word == "iface") parser.iface(words);
        else if (begins_stanza(word)) {
            parser.current.reset();
            if (word != "source" && word != "source-directory") parser.selects(words, word == "rename");
        } else if (word == "map") parser.selects(words, false);
        else if (parser.current) parser.option(words);
    }
    return std::move(parser.reading);
}

Sources sources_of(std::string_view text) {
    Sources sources;
    for (const auto& words : worded_lines(text))
        for (std::size_t i = 1; i < words.size(); ++i) {
            if (words[0].text == "source") sources.files.emplace_back(words[i].text);
            if (words[0].text == "source-directory") sources.directories.emplace_back(words[i].text);
        }
    return sources;
}

}  // namespace slipway::fixup
