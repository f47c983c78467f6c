// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "guest-fixup/addresses.hpp"
#include "guest-fixup/errors.hpp"
#include "guest-fixup/forget.hpp"
#include "guest-fixup/network.hpp"
#include "guest-fixup/network/config.hpp"
#include "guest-fixup/network_system.hpp"
#include "guest-fixup/services.hpp"
#include "guest-fixup/steps.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

using System = NetworkSystem;

constexpr const char* kConnections = "/etc/NetworkManager/system-connections";
constexpr const char* kUnits = "/etc/systemd/network";

std::string what_of(const InterfaceSetup& setup) {
    return fmt::format("addresses of {}", setup.name.empty() ? setup.mac->text() : setup.name);
}

// A file of our own, for what the files that are there say of other interfaces stays.
Status set_netplan(Repair& repair, const std::vector<InterfaceSetup>& setups) {
    auto& guest = repair.guest;
    constexpr const char* kOurs = "/etc/netplan/90-slipway.yaml";
    for (const auto& file : matching(guest, "/etc/netplan", "*.yaml")) {
        if (file == kOurs) continue;
        const auto text = TRY(guest.read(file, 1u << 20)).value_or("");
        auto edited = text;
        for (const auto& setup : setups) {
            edited = without_netplan(edited, setup.name);
            if (edited.find("set-name: " + setup.name) != std::string::npos)
                repair.warn(fmt::format("{} gives the name {} to another entry: check it", file, setup.name));
        }
        TRY(guest.write("addresses: replaced in netplan", file, edited, 0600));
    }
    return guest.write("addresses in netplan", kOurs, netplan_file(setups), 0600);
}

Status set_connection(Repair& repair, const InterfaceSetup& setup) {
    auto& guest = repair.guest;
    const auto name = setup.name.empty() ? setup.mac->text() : setup.name;
    const auto ours = fmt::format("{}/slipway-{}.nmconnection", kConnections, name);
    for (const auto& file : matching(guest, kConnections, "*")) {
        const auto text = file == ours ? std::string() : TRY(guest.read(file, 1u << 20)).value_or("");
        bool same = false;
        for (const auto& line : split(text, '\n'))
            same = same || (!setup.name.empty() && trim(line) == "interface-name=" + setup.name) ||
                   (setup.mac && to_lower(trim(line)) == "mac-address=" + setup.mac->text());
        if (same) TRY(guest.remove(what_of(setup) + ": the connection before", file));
    }
    return write_private(guest, what_of(setup), ours, keyfile(setup));
}

Status set_ifcfg(Repair& repair, const InterfaceSetup& setup, bool suse) {
    auto& guest = repair.guest;
    const std::string directory = suse ? "/etc/sysconfig/network" : "/etc/sysconfig/network-scripts";
    const auto path = fmt::format("{}/ifcfg-{}", directory, setup.name);
    const auto text = TRY(guest.read(path)).value_or("");
    TRY(guest.write(what_of(setup), path, suse ? suse_ifcfg(text, setup) : red_hat_ifcfg(text, setup)));
    if (!suse) {
        for (const char* kind : {"route-", "route6-"})
            if (guest.exists(directory + "/" + kind + setup.name))
                repair.warn(fmt::format("{}{} has routes of the addresses before: check it", kind, setup.name));
        return {};
    }
    const auto routes = fmt::format("{}/ifroute-{}", directory, setup.name);
    if (const auto route = suse_ifroute(setup); !route.empty()) TRY(guest.write(what_of(setup), routes, route));
    else if (setup.dhcp) TRY(guest.remove(what_of(setup), routes));
    if (setup.dns.empty() && setup.search.empty()) return {};
    auto config = TRY(guest.read(directory + "/config")).value_or("");
    auto set = [&](std::string_view key, const std::vector<std::string>& values) {
        std::string out;
        bool found = false;
        for (const auto& line : split(trim(config), '\n')) {
            const bool ours = line.starts_with(fmt::format("{}=", key));
            found = found || ours;
            out += (ours ? fmt::format("{}=\"{}\"", key, fmt::join(values, " ")) : line) + "\n";
        }
        config = found ? out : fmt::format("{}{}=\"{}\"\n", config.empty() ? "" : out, key, fmt::join(values, " "));
    };
    set("NETCONFIG_DNS_STATIC_SERVERS", setup.dns);
    set("NETCONFIG_DNS_STATIC_SEARCHLIST", setup.search);
    return guest.write(what_of(setup), directory + "/config", config);
}

// Of what no other program is told: one that keeps the file has a link in its place.
Status set_resolv_conf(Repair& repair, const InterfaceSetup& setup) {
    auto& guest = repair.guest;
    if (setup.dns.empty() || link_target(guest, "/etc/resolv.conf") || guest.exists("/sbin/resolvconf")) return {};
    return guest.write(what_of(setup), "/etc/resolv.conf", resolv_conf(setup));
}

Status set_ifupdown(Repair& repair, const InterfaceSetup& setup) {
    auto& guest = repair.guest;
    constexpr const char* kInterfaces = "/etc/network/interfaces";
    for (const auto& file : matching(guest, "/etc/network/interfaces.d", "*")) {
        const auto text = TRY(guest.read(file, 1u << 20));
        if (text && text->find(setup.name) != std::string::npos)
            TRY(guest.write(what_of(setup), file, without_ifupdown(*text, setup.name)));
    }
    const auto text = TRY(guest.read(kInterfaces, 1u << 20)).value_or("auto lo\niface lo inet loopback\n");
    TRY(guest.write(what_of(setup), kInterfaces, ifupdown_interface(text, setup)));
    return set_resolv_conf(repair, setup);
}

// The first file that matches an interface is the one that holds for it.
Status set_networkd(Repair& repair, const InterfaceSetup& setup) {
    const auto name = setup.name.empty() ? join(split(setup.mac->text(), ':'), "") : setup.name;
    TRY(repair.guest.write(what_of(setup), fmt::format("{}/05-slipway-{}.network", kUnits, name),
                           networkd_unit(setup)));
    // What networkd is told of DNS it hands on to resolved alone.
    return is_enabled(repair.guest, "systemd-resolved") ? Status() : set_resolv_conf(repair, setup);
}

// Most systems configure by name: that of the card is the one a configuration file gives it.
Status name_by_mac(Repair& repair, std::vector<InterfaceSetup>& setups) {
    std::vector<std::string> paths{"/etc/udev/rules.d/70-persistent-net.rules"};
    for (const auto& file : matching(repair.guest, kUnits, "*.link")) paths.push_back(file);
    for (const auto& path : paths)
        for (const auto& known : read_config({path, TRY(repair.guest.read(path, 1u << 20)).value_or("")}).interfaces)
            for (auto& setup : setups)
                if (setup.name.empty() && setup.mac && setup.mac == known.selects) setup.name = known.name;
    return {};
}

Status set_up(Repair& repair, System system, const InterfaceSetup& setup) {
    switch (system) {
        case System::Netplan: return set_netplan(repair, {setup});
        case System::NetworkManager: return set_connection(repair, setup);
        case System::RedHat: return set_ifcfg(repair, setup, false);
        case System::Suse: return set_ifcfg(repair, setup, true);
        case System::Ifupdown: return set_ifupdown(repair, setup);
        case System::Networkd: break;
    }
    return set_networkd(repair, setup);
}

void warn_nothing_reads(Repair& repair, const NetworkPrograms& programs, const std::vector<InterfaceSetup>& setups) {
    std::vector<std::string> names;
    for (const auto& setup : setups) names.push_back(setup.name.empty() ? setup.mac->text() : setup.name);
    const auto without = join(names, ", ") + (names.size() == 1 ? " has no new address" : " have no new addresses");
    if (!programs.not_writable.empty())
        repair.warn(fmt::format("{} configures this system's network, and nothing here writes its configuration: {}",
                                programs.not_writable, without));
    else if (programs.installed.empty())
        repair.warn(fmt::format("no program that configures a network is known in this system: {}", without));
    else
        repair.warn(
            fmt::format("nothing that configures this system's network is enabled in it (installed: {}): {}; "
                        "enable one in the source and capture it again",
                        join(programs.installed, ", "), without));
}

}  // namespace

Status set_addresses(Repair& repair, const std::vector<InterfaceSetup>& interfaces) {
    if (interfaces.empty()) return {};
    for (const auto& setup : interfaces)
        if (!setup.name.empty() && !valid_interface(setup.name))
            return make_error(errors::kPersonality, "'{}' is no interface of a Linux", printable(setup.name));
    auto setups = interfaces;
    TRY(name_by_mac(repair, setups));
    std::vector<std::string> said;  // by the step before
    const auto files = network_files(repair.guest, said);
    const auto programs = network_programs(repair.guest, files);
    if (programs.started.empty()) {
        warn_nothing_reads(repair, programs, setups);
        return {};
    }
    std::vector<InterfaceSetup> netplan;
    for (const auto& setup : setups) {
        const auto system = *system_for(programs.started, files, setup);
        if (setup.name.empty() && system != System::NetworkManager && system != System::Networkd)
            repair.warn(fmt::format("no interface name is known for {}: it has no new address", setup.mac->text()));
        else if (system == System::Netplan) netplan.push_back(setup);
        else TRY(set_up(repair, system, setup));
    }
    return netplan.empty() ? Status() : set_netplan(repair, netplan);
}

}  // namespace slipway::fixup
