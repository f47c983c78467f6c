// SPDX-License-Identifier: GPL-3.0-or-later
// DHCP or static: what the configuration of ifupdown, netplan, systemd-networkd, NetworkManager and the ifcfg files
// says of one adapter; failing these, a lease that was kept for it.
#include <fnmatch.h>

#include <fmt/format.h>

#include "gatherhw/linux/parts.hpp"
#include "lib/base/strings.hpp"

namespace slipway::gatherhw {

namespace {

struct Asked {
    std::string name, mac;
    int index = 0;
};

bool matches(std::string_view pattern, const std::string& name) {
    return ::fnmatch(std::string(pattern).c_str(), name.c_str(), 0) == 0;
}

AddressConfiguration found(bool dhcp, std::string_view file, std::string_view line) {
    return {dhcp ? AddressOrigin::Dhcp : AddressOrigin::Static, fmt::format("{}: {}", file, trim(line))};
}

AddressConfiguration ifupdown_file(Tree& tree, const std::string& file, const Asked& asked, int depth) {
    for (const auto& line : tree.lines(file)) {
        auto w = words(line);
        if (w.size() >= 4 && w[0] == "iface" && w[1] == asked.name && w[2] == "inet")
            if (w[3] == "dhcp" || w[3] == "static") return found(w[3] == "dhcp", file, line);
        if (w.size() < 2 || (w[0] != "source" && w[0] != "source-directory") || depth > 4) continue;
        auto path = w[1].starts_with('/') ? w[1] : "/etc/network/" + w[1];
        auto directory = w[0] == "source" ? path.substr(0, path.rfind('/')) : path;
        auto pattern = w[0] == "source" ? base_name(path) : "*";
        for (const auto& name : tree.list(directory)) {
            if (!matches(pattern, name)) continue;
            auto inner = ifupdown_file(tree, directory + "/" + name, asked, depth + 1);
            if (inner.origin != AddressOrigin::Unknown) return inner;
        }
    }
    return {};
}

AddressConfiguration ifupdown(Tree& tree, const Asked& asked) {
    return ifupdown_file(tree, "/etc/network/interfaces", asked, 0);
}

// Every "key=value" of an INI file as "section.key", the last of a kind wins; `line` keeps it as written.
struct IniValue {
    std::string value, line;
};
std::map<std::string, IniValue> read_ini(Tree& tree, const std::string& file) {
    std::map<std::string, IniValue> out;
    std::string section;
    for (const auto& raw : tree.lines(file)) {
        auto line = trim(raw);
        auto equals = line.find('=');
        if (line.starts_with('[') && line.ends_with(']')) section = to_lower(line.substr(1, line.size() - 2));
        if (equals == std::string_view::npos || line.starts_with('#') || line.starts_with(';')) continue;
        auto key = section + "." + to_lower(trim(line.substr(0, equals)));
        out[key] = {std::string(trim(line.substr(equals + 1))), std::string(line)};
    }
    return out;
}

AddressConfiguration networkd(Tree& tree, const Asked& asked) {
    for (std::string directory : {"/etc/systemd/network", "/run/systemd/network"})
        for (const auto& name : tree.list(directory)) {
            if (!name.ends_with(".network")) continue;
            auto file = directory + "/" + name;
            auto ini = read_ini(tree, file);
            bool mine = iequals(ini["match.macaddress"].value, asked.mac) && !asked.mac.empty();
            for (const auto& pattern : words(ini["match.name"].value)) mine = mine || matches(pattern, asked.name);
            if (!mine) continue;
            auto dhcp = ini["network.dhcp"];
            for (auto yes : {"yes", "ipv4", "true", "both", "v4"})
                if (iequals(dhcp.value, yes)) return found(true, file, dhcp.line);
            for (auto key : {"network.address", "address.address"})
                if (!ini[key].value.empty()) return found(false, file, ini[key].line);
        }
    return {};
}

AddressConfiguration network_manager(Tree& tree, const Asked& asked) {
    for (std::string directory : {"/etc/NetworkManager/system-connections", "/run/NetworkManager/system-connections"})
        for (const auto& name : tree.list(directory)) {
            auto file = directory + "/" + name;
            auto ini = read_ini(tree, file);
            bool by_name = ini["connection.interface-name"].value == asked.name;
            bool by_mac = !asked.mac.empty() && iequals(ini["ethernet.mac-address"].value, asked.mac);
            if (!by_name && !by_mac) continue;
            auto method = ini["ipv4.method"];
            if (method.value == "auto" || method.value == "manual")
                return found(method.value == "auto", file, method.line);
        }
    return {};
}

// The part of YAML that netplan files are written in: a mapping by indentation. Only what stands deeper than the
// adapter's own line belongs to it.
AddressConfiguration netplan(Tree& tree, const Asked& asked) {
    AddressConfiguration last;  // later files win
    for (const auto& name : tree.list("/etc/netplan")) {
        auto file = "/etc/netplan/" + name;
        std::size_t depth = std::string::npos;
        for (const auto& line : tree.lines(file)) {
            auto indent = line.find_first_not_of(' ');
            auto text = trim(line);
            if (text.empty() || text.starts_with('#')) continue;
            if (depth != std::string::npos && indent <= depth) depth = std::string::npos;
            if (depth == std::string::npos) {
                if (text == asked.name + ":" || text == "\"" + asked.name + "\":") depth = indent;
            } else if (text.starts_with("dhcp4:") && (text.ends_with("true") || text.ends_with("yes"))) {
                last = found(true, file, text);
            } else if (text.starts_with("addresses:") && last.origin == AddressOrigin::Unknown) {
                last = found(false, file, text);
            }
        }
    }
    return last;
}

AddressConfiguration ifcfg(Tree& tree, const Asked& asked) {
    for (std::string directory : {"/etc/sysconfig/network-scripts", "/etc/sysconfig/network"}) {
        auto file = directory + "/ifcfg-" + asked.name;
        for (const auto& line : tree.lines(file)) {
            if (!line.starts_with("BOOTPROTO=")) continue;
            auto value = line.substr(10);
            std::erase_if(value, [](char c) { return c == '"' || c == '\'' || c == '\r' || c == ' '; });
            if (value == "dhcp" || value == "bootp" || value == "dhcp4") return found(true, file, line);
            if (value == "none" || value == "static") return found(false, file, line);
        }
    }
    return {};
}

AddressConfiguration leases(Tree& tree, const Asked& asked) {
    auto kept = [](const std::string& file) { return AddressConfiguration{AddressOrigin::Dhcp, file + ": a lease"}; };
    for (std::string directory : {"/var/lib/dhcp", "/var/lib/dhclient", "/var/lib/NetworkManager"})
        for (const auto& name : tree.list(directory)) {
            auto file = directory + "/" + name;
            if (name.ends_with("-" + asked.name + ".lease")) return kept(file);
            if (!name.ends_with(".leases") && !name.ends_with(".lease")) continue;
            auto text = tree.read(file).value_or("");
            if (text.find("interface \"" + asked.name + "\"") != std::string::npos) return kept(file);
        }
    for (const auto& file :
         {fmt::format("/run/systemd/netif/leases/{}", asked.index), fmt::format("/var/lib/dhcpcd/{}.lease", asked.name),
          fmt::format("/var/lib/dhcpcd5/dhcpcd-{}.lease", asked.name)})
        if (tree.exists(file)) return kept(file);
    return {};
}

}  // namespace

AddressConfiguration address_configuration(Tree& tree, const std::string& adapter, const std::string& mac, int index) {
    Asked asked{adapter, mac, index};
    for (auto* source : {ifupdown, netplan, networkd, network_manager, ifcfg, leases})
        if (auto answer = source(tree, asked); answer.origin != AddressOrigin::Unknown) return answer;
    return {};
}

}  // namespace slipway::gatherhw
