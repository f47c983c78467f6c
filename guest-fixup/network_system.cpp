// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/network_system.hpp"

#include <algorithm>

#include "guest-fixup/forget.hpp"
#include "guest-fixup/services.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

using System = NetworkSystem;

std::optional<System> system_of(const ConfigFile& file) {
    const auto in = [&](std::string_view directory) { return file.path.starts_with(directory); };
    if (file.kind == ConfigKind::Ifupdown || in("/etc/network/")) return System::Ifupdown;
    if (in("/etc/netplan/") || in("/usr/lib/netplan/")) return System::Netplan;
    if (in("/etc/sysconfig/network-scripts/")) return System::RedHat;
    if (in("/etc/sysconfig/network/")) return System::Suse;
    if (in("/etc/NetworkManager/system-connections/") || in("/usr/lib/NetworkManager/system-connections/"))
        return System::NetworkManager;
    if (file.path.find("/systemd/network/") != std::string::npos) return System::Networkd;
    return std::nullopt;
}

// 3: it says what this card gets, 2: what any card gets, 1: what another gets.
int fit(const Interface& interface, const InterfaceSetup& setup) {
    if (interface.names_only || interface.kind == InterfaceKind::Loopback) return 0;
    if (!setup.name.empty() && interface.name == setup.name) return 3;
    if (setup.mac && interface.selects == setup.mac) return 3;
    return interface.any ? 2 : 1;
}

bool has_cards(const std::vector<ConfigFile>& files, System system) {
    return std::any_of(files.begin(), files.end(), [&](const ConfigFile& file) {
        if (system_of(file) != system) return false;
        const auto found = read_config(file).interfaces;
        return std::any_of(found.begin(), found.end(), [](const auto& i) { return fit(i, {}) > 0; });
    });
}

bool one_exists(const Guest& guest, std::initializer_list<const char*> paths) {
    return std::any_of(paths.begin(), paths.end(), [&](const char* path) { return guest.exists(path); });
}

bool one_enabled(const Guest& guest, std::initializer_list<const char*> services) {
    return std::any_of(services.begin(), services.end(), [&](const char* name) { return is_enabled(guest, name); });
}

// NetworkManager's plugin for Red Hat's files lies in a directory of its version, of older ones a level above.
bool manager_reads_ifcfg(const Guest& guest) {
    constexpr const char* kPlugin = "libnm-settings-plugin-ifcfg-rh.so";
    for (const char* directory : {"/usr/lib64/NetworkManager", "/usr/lib/NetworkManager"}) {
        if (guest.exists(fmt::format("{}/{}", directory, kPlugin))) return true;
        for (const auto& version : guest.list(directory))
            if (guest.exists(fmt::format("{}/{}/{}", directory, version, kPlugin))) return true;
    }
    return false;
}

bool manager_leaves_new_cards(const Guest& guest) {
    std::vector<std::string> paths{"/etc/NetworkManager/NetworkManager.conf"};
    for (const char* directory : {"/usr/lib/NetworkManager/conf.d", "/etc/NetworkManager/conf.d"})
        for (auto& path : matching(guest, directory, "*.conf")) paths.push_back(std::move(path));
    for (const auto& path : paths)
        if (auto text = guest.read(path, 1u << 20); text && *text)
            for (const auto& line : split(**text, '\n'))
                if (trim(line) == "no-auto-default=*") return true;
    return false;
}

// Netplan itself runs at no time that could be switched off: a generator of systemd writes for one of two others.
bool netplan_writes_for_manager(const std::vector<ConfigFile>& files) {
    for (const auto& file : files) {
        if (system_of(file) != System::Netplan) continue;
        for (const auto& line : split(file.text, '\n')) {
            const auto at = line.find("renderer:");
            if (at == std::string::npos || trim(line).starts_with('#')) continue;
            auto value = trim(std::string_view(line).substr(at + 9));
            while (!value.empty() && (value[0] == '"' || value[0] == '\'')) value.remove_prefix(1);
            if (to_lower(value).starts_with("networkmanager")) return true;
        }
    }
    return false;
}

bool has_netplan(const Guest& guest) {
    return one_exists(
        guest, {"/usr/sbin/netplan", "/usr/lib/systemd/system-generators/netplan",
                "/lib/systemd/system-generators/netplan", "/usr/libexec/netplan/generate", "/lib/netplan/generate"});
}

struct Installed {
    bool manager, networkd, ifupdown, netplan, red_hat, suse, dhcpcd, connman;
};

Installed installed_in(const Guest& guest) {
    const bool suse = !guest.list("/etc/sysconfig/network").empty();
    return {.manager = one_exists(guest, {"/usr/sbin/NetworkManager", "/usr/bin/NetworkManager"}),
            .networkd = one_exists(guest, {"/lib/systemd/systemd-networkd", "/usr/lib/systemd/systemd-networkd"}),
            .ifupdown = guest.exists("/etc/network/interfaces") && one_exists(guest, {"/sbin/ifup", "/usr/sbin/ifup"}),
            .netplan = has_netplan(guest),
            .red_hat = !suse && guest.exists("/etc/sysconfig/network-scripts"),
            .suse = suse,
            .dhcpcd = one_exists(guest, {"/sbin/dhcpcd", "/usr/sbin/dhcpcd", "/usr/bin/dhcpcd"}),
            .connman = one_exists(guest, {"/usr/sbin/connmand", "/usr/bin/connmand"})};
}

std::vector<std::string> names_of(const Installed& is) {
    std::vector<std::string> names;
    for (const auto& [there, name] : {std::pair{is.netplan, "netplan"}, std::pair{is.manager, "NetworkManager"},
                                      std::pair{is.networkd, "systemd-networkd"}, std::pair{is.ifupdown, "ifupdown"},
                                      std::pair{is.red_hat, "network-scripts"}, std::pair{is.suse, "wicked"},
                                      std::pair{is.dhcpcd, "dhcpcd"}, std::pair{is.connman, "connman"}})
        if (there) names.emplace_back(name);
    return names;
}

// Those of an init that is not known here count as started.
Installed started_in(const Guest& guest, Installed is) {
    if (!start_is_known(guest)) return is;
    is.manager = is.manager && one_enabled(guest, {"NetworkManager", "network-manager", "networkmanager"});
    is.networkd = is.networkd && one_enabled(guest, {"systemd-networkd.service", "systemd-networkd.socket"}) &&
                  !is_masked(guest, "systemd-networkd.service");
    is.ifupdown = is.ifupdown && is_enabled(guest, "networking");
    is.red_hat = is.red_hat && is_enabled(guest, "network");
    // "network" is there also another name of what runs.
    is.suse = is.suse && (is_enabled(guest, "wicked") || (!is.manager && is_enabled(guest, "network")));
    is.dhcpcd = is.dhcpcd && is_enabled(guest, "dhcpcd");
    is.connman = is.connman && one_enabled(guest, {"connman", "connmand"});
    return is;
}

}  // namespace

NetworkPrograms network_programs(const Guest& guest, const std::vector<ConfigFile>& files) {
    const auto there = installed_in(guest);
    const auto is = started_in(guest, there);
    NetworkPrograms out;
    out.installed = names_of(there);
    out.connman = is.connman;
    if (is.manager && !manager_leaves_new_cards(guest)) out.asks_dhcp = "NetworkManager";
    else if (is.connman) out.asks_dhcp = "connman";
    else if (is.dhcpcd) out.asks_dhcp = "dhcpcd";
    out.not_writable = is.connman ? "connman" : is.dhcpcd ? "dhcpcd" : "";
    const auto add = [&](bool started, System system) {
        if (started) out.started.insert(system);
    };
    const bool backend = netplan_writes_for_manager(files)
                             ? is.manager
                             : there.networkd && !is_masked(guest, "systemd-networkd.service");
    add(is.netplan && backend && init_of(guest) == InitSystem::Systemd, System::Netplan);
    add(is.red_hat || (is.manager && has_cards(files, System::RedHat) && manager_reads_ifcfg(guest)), System::RedHat);
    add(is.suse, System::Suse);
    add(is.ifupdown, System::Ifupdown);
    add(is.manager, System::NetworkManager);
    add(is.networkd, System::Networkd);
    return out;
}

std::optional<NetworkSystem> system_for(const std::set<NetworkSystem>& started, const std::vector<ConfigFile>& files,
                                        const InterfaceSetup& setup) {
    std::map<System, int> best_of;
    bool netplan_is_used = false;
    for (const auto& file : files) {
        const auto system = system_of(file);
        if (!system) continue;
        netplan_is_used = netplan_is_used || *system == System::Netplan;
        for (const auto& interface : read_config(file).interfaces)
            best_of[*system] = std::max(best_of[*system], fit(interface, setup));
    }
    // Who writes the others' files comes first; ifupdown, whose cards NetworkManager leaves alone, before that. Where
    // nothing is configured NetworkManager is before ifupdown, which is often a leftover then.
    static constexpr System kConfigured[] = {System::Netplan,  System::RedHat,         System::Suse,
                                             System::Ifupdown, System::NetworkManager, System::Networkd};
    std::optional<System> best;
    for (const auto system : kConfigured)
        if (started.contains(system) && best_of[system] > (best ? best_of[*best] : 0)) best = system;
    if (best) return best;
    if (netplan_is_used && started.contains(System::Netplan)) return System::Netplan;
    for (const auto system :
         {System::RedHat, System::Suse, System::NetworkManager, System::Ifupdown, System::Networkd, System::Netplan})
        if (started.contains(system)) return system;
    return std::nullopt;
}

}  // namespace slipway::fixup
