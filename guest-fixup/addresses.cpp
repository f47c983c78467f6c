// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/addresses.hpp"

#include <algorithm>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "guest-fixup/text_lines.hpp"
#include "lib/base/sha256.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

std::vector<std::string> of_family(const std::vector<std::string>& list, bool six) {
    std::vector<std::string> out;
    for (const auto& entry : list)
        if (is_ipv6(entry) == six) out.push_back(entry);
    return out;
}

std::string gateway_of(const InterfaceSetup& setup, bool six) {
    const auto found = of_family(setup.gateways, six);
    return found.empty() ? "" : found[0];
}

std::size_t indent_of(std::string_view line) {
    const auto at = line.find_first_not_of(' ');
    return at == std::string_view::npos ? line.size() : at;
}

std::string append(std::string text, std::string_view more) {
    if (!text.empty() && !text.ends_with('\n')) text += '\n';
    return text.append(more);
}

// Keeps of KEY=value lines those whose key is not among keys (a trailing '*': any number behind it).
std::string without_keys(std::string_view text, const std::vector<std::string_view>& keys) {
    std::string out;
    map_lines(text, [&](std::string_view line) {
        const auto key = trim(line.substr(0, line.find('=')));
        const bool ours =
            line.find('=') != std::string_view::npos && std::any_of(keys.begin(), keys.end(), [&](auto known) {
                if (!known.ends_with('*')) return key == known;
                known.remove_suffix(1);
                return key.starts_with(known) &&
                       key.find_first_not_of("0123456789_", known.size()) == std::string_view::npos;
            });
        if (!ours) out += fmt::format("{}\n", line);
        return std::string();
    });
    return out;
}

bool begins_stanza(std::string_view word) {
    return word == "iface" || word == "mapping" || word == "auto" || word == "source" || word == "source-directory" ||
           word == "rename" || word == "no-auto-down" || word == "no-scripts" || word.starts_with("allow-");
}

}  // namespace

// ---- ifupdown

std::string without_ifupdown(std::string_view text, std::string_view name) {
    std::string out;
    bool inside = false;
    map_lines(text, [&](std::string_view line) {
        const auto words = words_of(line);
        if (!words.empty() && begins_stanza(words[0])) {
            inside = words[0] == "iface" && words.size() > 1 && words[1] == name;
            if (words[0] == "auto" || words[0].starts_with("allow-")) {
                std::vector<std::string> kept;
                for (const auto& word : words)
                    if (word != name) kept.emplace_back(word);
                if (kept.size() != words.size()) {
                    if (kept.size() > 1) out += join(kept, " ") + "\n";
                    return std::string();
                }
            }
        }
        const bool blank = words.empty();
        if (!inside || blank) out += fmt::format("{}\n", line);
        if (blank) inside = false;
        return std::string();
    });
    while (out.ends_with("\n\n")) out.pop_back();
    return out;
}

std::string ifupdown_interface(std::string_view text, const InterfaceSetup& setup) {
    std::string stanzas = fmt::format("auto {}\n", setup.name);
    if (setup.dhcp) stanzas += fmt::format("iface {} inet dhcp\n", setup.name);
    for (bool six : {false, true}) {
        const auto addresses = of_family(setup.addresses, six);
        bool first = true;
        for (const auto& address : addresses) {
            stanzas += fmt::format("iface {} inet{} static\n    address {}\n", setup.name, six ? "6" : "", address);
            if (const auto gateway = gateway_of(setup, six); first && !gateway.empty())
                stanzas += fmt::format("    gateway {}\n", gateway);
            // resolvconf reads these.
            if (first && (!six || of_family(setup.addresses, false).empty())) {
                if (!setup.dns.empty()) stanzas += fmt::format("    dns-nameservers {}\n", fmt::join(setup.dns, " "));
                if (!setup.search.empty()) stanzas += fmt::format("    dns-search {}\n", fmt::join(setup.search, " "));
            }
            first = false;
        }
    }
    auto kept = without_ifupdown(text, setup.name);
    return append(kept.empty() ? kept : kept + "\n", stanzas);
}

std::string resolv_conf(const InterfaceSetup& setup) {
    std::string out = "# Written by Slipway.\n";
    if (!setup.search.empty()) out += fmt::format("search {}\n", fmt::join(setup.search, " "));
    for (const auto& server : setup.dns) out += fmt::format("nameserver {}\n", server);
    return out;
}

// ---- ifcfg

std::string red_hat_ifcfg(std::string_view text, const InterfaceSetup& setup) {
    auto out = without_keys(text, {"BOOTPROTO", "ONBOOT", "DEVICE", "HWADDR", "IPADDR*", "NETMASK*", "PREFIX*",
                                   "NETWORK", "BROADCAST", "GATEWAY*", "DNS*", "DOMAIN", "IPV6INIT", "IPV6ADDR",
                                   "IPV6ADDR_SECONDARIES", "IPV6_DEFAULTGW", "IPV6_AUTOCONF", "DHCPV6C"});
    out += fmt::format("DEVICE={}\nONBOOT=yes\n", setup.name);
    if (setup.mac) out += fmt::format("HWADDR={}\n", setup.mac->text());
    if (setup.dhcp) return out + "BOOTPROTO=dhcp\n";
    out += "BOOTPROTO=none\n";
    const auto four = of_family(setup.addresses, false), six = of_family(setup.addresses, true);
    for (std::size_t i = 0; i < four.size(); ++i) {
        const auto slash = four[i].find('/');
        const auto number = i == 0 ? std::string() : std::to_string(i);
        out +=
            fmt::format("IPADDR{0}={1}\nPREFIX{0}={2}\n", number, four[i].substr(0, slash), four[i].substr(slash + 1));
    }
    if (const auto gateway = gateway_of(setup, false); !gateway.empty()) out += fmt::format("GATEWAY={}\n", gateway);
    if (!six.empty()) {
        out += fmt::format("IPV6INIT=yes\nIPV6_AUTOCONF=no\nIPV6ADDR={}\n", six[0]);
        if (six.size() > 1)
            out += fmt::format("IPV6ADDR_SECONDARIES=\"{}\"\n", fmt::join(six.begin() + 1, six.end(), " "));
        if (const auto gateway = gateway_of(setup, true); !gateway.empty())
            out += fmt::format("IPV6_DEFAULTGW={}\n", gateway);
    }
    for (std::size_t i = 0; i < setup.dns.size(); ++i) out += fmt::format("DNS{}={}\n", i + 1, setup.dns[i]);
    if (!setup.search.empty()) out += fmt::format("DOMAIN=\"{}\"\n", fmt::join(setup.search, " "));
    return out;
}

std::string suse_ifcfg(std::string_view text, const InterfaceSetup& setup) {
    auto out = without_keys(text, {"BOOTPROTO", "STARTMODE", "IPADDR*", "NETMASK*", "PREFIXLEN*", "NETWORK*",
                                   "BROADCAST*", "REMOTE_IPADDR", "LLADDR"});
    out += fmt::format("BOOTPROTO='{}'\nSTARTMODE='auto'\n", setup.dhcp ? "dhcp" : "static");
    for (std::size_t i = 0; i < setup.addresses.size(); ++i)
        out += fmt::format("IPADDR{}='{}'\n", i == 0 ? "" : fmt::format("_{}", i), setup.addresses[i]);
    return out;
}

std::string suse_ifroute(const InterfaceSetup& setup) {
    std::string out;
    for (const auto& gateway : setup.gateways) out += fmt::format("default {} - {}\n", gateway, setup.name);
    return out;
}

// ---- NetworkManager

std::string keyfile(const InterfaceSetup& setup) {
    // The same for the same interface, so that a second repair changes nothing.
    const auto key = setup.name.empty() ? setup.mac->text() : setup.name;
    const auto hex = sha256(as_bytes("slipway connection " + key)).text();
    auto out = fmt::format(
        "# Written by Slipway.\n[connection]\nid=slipway-{}\nuuid={}-{}-5{}-8{}-{}\ntype=ethernet\n"
        "autoconnect-priority=100\n",
        key, hex.substr(0, 8), hex.substr(8, 4), hex.substr(13, 3), hex.substr(17, 3), hex.substr(20, 12));
    if (!setup.name.empty()) out += fmt::format("interface-name={}\n", setup.name);
    if (setup.mac) out += fmt::format("\n[ethernet]\nmac-address={}\n", setup.mac->text());
    for (bool six : {false, true}) {
        const auto addresses = of_family(setup.addresses, six);
        out += fmt::format("\n[ipv{}]\nmethod={}\n", six ? 6 : 4,
                           !addresses.empty()  ? "manual"
                           : six || setup.dhcp ? "auto"
                                               : "disabled");
        for (std::size_t i = 0; i < addresses.size(); ++i) out += fmt::format("address{}={}\n", i + 1, addresses[i]);
        if (const auto gateway = gateway_of(setup, six); !gateway.empty()) out += fmt::format("gateway={}\n", gateway);
        if (const auto dns = of_family(setup.dns, six); !dns.empty())
            out += fmt::format("dns={};\n", fmt::join(dns, ";"));
        if (!setup.search.empty()) out += fmt::format("dns-search={};\n", fmt::join(setup.search, ";"));
    }
    return out;
}

// ---- systemd-networkd

std::string networkd_unit(const InterfaceSetup& setup) {
    std::string out = "# Written by Slipway.\n[Match]\n";
    if (setup.mac) out += fmt::format("MACAddress={}\n", setup.mac->text());
    if (!setup.name.empty()) out += fmt::format("Name={}\n", setup.name);
    out += "\n[Network]\n";
    if (setup.dhcp) out += "DHCP=yes\n";
    for (const auto& address : setup.addresses) out += fmt::format("Address={}\n", address);
    for (const auto& gateway : setup.gateways) out += fmt::format("Gateway={}\n", gateway);
    for (const auto& server : setup.dns) out += fmt::format("DNS={}\n", server);
    if (!setup.search.empty()) out += fmt::format("Domains={}\n", fmt::join(setup.search, " "));
    return out;
}

// ---- netplan

std::string without_netplan(std::string_view text, std::string_view name) {
    constexpr auto kNone = std::string_view::npos;
    std::string out;
    // Indentation of the section and of the block that goes; where the section's line is in out, until it has a child.
    std::size_t section = kNone, block = kNone, childless = kNone;
    auto end_section = [&] {
        if (childless != kNone && block != kNone) out.insert(out.find('\n', childless), " {}");  // null is no mapping
        section = childless = kNone;
    };
    map_lines(text, [&](std::string_view line) {
        const auto word = trim(line);
        const auto indent = indent_of(line);
        const bool content = !word.empty() && word[0] != '#';
        if (content && section != kNone && indent <= section) end_section();
        if (content && block != kNone && indent <= block && (section == kNone || indent > section)) block = kNone;
        if (content && word == "ethernets:") {
            section = indent;
            block = kNone;
            childless = out.size();
        } else if (content && section != kNone && block == kNone) {
            auto key = word.substr(0, word.find(':'));
            if (key.size() > 2 && (key.front() == '"' || key.front() == '\'')) key = key.substr(1, key.size() - 2);
            if (key == name && word.find(':') != kNone) block = indent;
            else childless = kNone;
        }
        if (section == kNone) block = kNone;
        if (block == kNone) out += fmt::format("{}\n", line);
        return std::string();
    });
    end_section();
    return out;
}

std::string netplan_file(const std::vector<InterfaceSetup>& setups) {
    std::string out = "# Written by Slipway.\nnetwork:\n  version: 2\n  ethernets:\n";
    for (const auto& setup : setups) {
        out += fmt::format("    {}:\n", setup.name);
        if (setup.mac)
            out += fmt::format("      match:\n        macaddress: \"{}\"\n      set-name: {}\n", setup.mac->text(),
                               setup.name);
        out += fmt::format("      dhcp4: {}\n", setup.dhcp);
        if (!setup.addresses.empty()) out += "      addresses:\n";
        for (const auto& address : setup.addresses) out += fmt::format("        - \"{}\"\n", address);
        if (!setup.gateways.empty()) out += "      routes:\n";
        for (const auto& gateway : setup.gateways)
            out += fmt::format("        - to: \"{}\"\n          via: \"{}\"\n", is_ipv6(gateway) ? "::/0" : "0.0.0.0/0",
                               gateway);
        if (setup.dns.empty() && setup.search.empty()) continue;
        out += "      nameservers:\n";
        if (!setup.dns.empty()) out += "        addresses:\n";
        for (const auto& server : setup.dns) out += fmt::format("          - \"{}\"\n", server);
        if (!setup.search.empty()) out += "        search:\n";
        for (const auto& domain : setup.search) out += fmt::format("          - \"{}\"\n", domain);
    }
    return out;
}

}  // namespace slipway::fixup
