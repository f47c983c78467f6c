// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/network/advice.hpp"

#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "guest-fixup/network.hpp"

namespace slipway::fixup {

namespace {

using Texts = std::vector<std::string>;

bool is_new(const Situation& now, const MacAddress& mac) {
    return std::any_of(now.nics.begin(), now.nics.end(), [&](const auto& nic) { return nic.new_mac == mac; });
}

// The configuration selects this adapter, before or after its address is moved.
bool meant_for(const Situation& now, const Interface& interface, const KnownNic& nic) {
    if (!nic.name.empty() && interface.name == nic.name) return true;
    if (!interface.selects) return false;
    const auto moved = now.macs.find(*interface.selects);
    return (moved == now.macs.end() ? *interface.selects : moved->second) == nic.new_mac;
}

void unknown_adapters(const Situation& now, Texts& texts) {
    for (const auto& nic : now.nics) {
        bool configured = false, any = false, below = false;
        for (const auto& interface : now.interfaces) {
            if (interface.names_only) continue;
            configured = configured || meant_for(now, interface, nic);
            any = any || interface.any;
            for (const auto& lower : interface.lower) below = below || (!nic.name.empty() && lower == nic.name);
        }
        if (configured || below || any) continue;
        const auto& told = now.traits.set_up;
        if (std::find(told.begin(), told.end(), nic.new_mac) != told.end()) continue;
        const auto then = now.traits.asks_dhcp.empty() ? std::string("it will stay without an address")
                                                       : now.traits.asks_dhcp + " will ask DHCP for an address on it";
        if (nic.name.empty())
            texts.push_back(
                fmt::format("no interface name is known for the adapter that is {} now, and no configuration is by its "
                            "address: its network may need to be configured by hand",
                            nic.new_mac.text()));
        else
            texts.push_back(fmt::format("no configuration that is known here mentions {} ({}): {}", nic.name,
                                        nic.new_mac.text(), then));
    }
}

// What a configuration waits for and will not find.
void missing_adapters(const Situation& now, Texts& texts) {
    std::set<std::string> said;
    for (const auto& interface : now.interfaces) {
        if (interface.kind != InterfaceKind::Ethernet || interface.names_only) continue;
        if (std::any_of(now.nics.begin(), now.nics.end(), [&](auto& nic) { return meant_for(now, interface, nic); }))
            continue;
        if (interface.selects && now.nics.empty()) {
            texts.push_back(
                fmt::format("{} is for the card {}: if the new machine's adapter has another address, say so "
                            "with --nic",
                            interface.path, interface.selects->text()));
        } else if (interface.selects && !now.macs.contains(*interface.selects) && !is_new(now, *interface.selects)) {
            texts.push_back(
                fmt::format("{} is for the card {}, which the mapping of adapters does not name: it will not "
                            "apply",
                            interface.path, interface.selects->text()));
        } else if (!now.nics.empty() && valid_interface(interface.name) && said.insert(interface.name).second)
            texts.push_back(
                fmt::format("{} configures {}, which no adapter of the new machine is: its addresses will be "
                            "missing, and the start may wait for it",
                            interface.path, interface.name));
    }
}

void by_hardware(const Situation& now, Texts& texts) {
    for (const auto& interface : now.interfaces)
        if (!interface.hardware.empty() && interface.kind == InterfaceKind::Ethernet)
            texts.push_back(
                fmt::format("{} selects its card by {}, which will be another on the new machine: let it "
                            "select by name or address",
                            interface.path, interface.hardware));
}

// The interface and all that stand on it, which have its address.
std::set<std::string> stack_on(const Situation& now, const std::string& name) {
    std::set<std::string> stack{name};
    for (int round = 0; round < 4; ++round)  // VLAN on bridge on bond on card
        for (const auto& interface : now.interfaces) {
            if (stack.contains(interface.name) && !interface.upper.empty()) stack.insert(interface.upper);
            for (const auto& lower : interface.lower)
                if (stack.contains(lower) && !interface.name.empty()) stack.insert(interface.name);
        }
    return stack;
}

void dhcp_clients(const Situation& now, Texts& texts) {
    std::set<std::string> said;
    for (const auto& nic : now.nics) {
        if (!nic.old_mac || *nic.old_mac == nic.new_mac) continue;
        auto stack = nic.name.empty() ? std::set<std::string>() : stack_on(now, nic.name);
        stack.erase("");
        for (const auto& interface : now.interfaces) {
            if (!interface.dhcp || interface.sets) continue;
            if (!interface.any && !meant_for(now, interface, nic) && !stack.contains(interface.name)) continue;
            const auto name = !interface.name.empty() ? interface.name
                              : nic.name.empty()      ? nic.new_mac.text()
                                                      : nic.name;
            if (!said.insert(name).second) continue;
            texts.push_back(
                fmt::format("{} asks DHCP: a reservation for {} must be moved to {} on the DHCP server, or the new "
                            "adapter be given "
                            "the old address, to keep the same IP address",
                            name, nic.old_mac->text(), nic.new_mac.text()));
        }
    }
}

void fixed_addresses(const Situation& now, Texts& texts) {
    std::set<std::string> said;
    for (const auto& interface : now.interfaces)
        if (interface.sets && said.insert(interface.path + interface.name).second)
            texts.push_back(fmt::format(
                "{} gives {} the fixed address {}: it keeps it, so let the old machine not be on the same network",
                interface.path, interface.name.empty() ? "its interface" : interface.name, interface.sets->text()));
}

// In scripts, client identifiers, lines of programs that are not known here.
void leftovers(const Situation& now, const std::vector<ConfigFile>& after, Texts& texts) {
    std::set<MacAddress> fixed;
    for (const auto& interface : now.interfaces)
        if (interface.sets) fixed.insert(*interface.sets);
    for (const auto& file : after) {
        std::set<MacAddress> left;
        for (const auto& line : lines_of(file.text)) {
            if (trimmed(line).text.starts_with('#')) continue;
            for (const auto& use : macs_in(line))
                if (now.macs.contains(use.mac) && !is_new(now, use.mac) && !fixed.contains(use.mac))
                    left.insert(use.mac);
        }
        for (const auto& mac : left)
            texts.push_back(
                fmt::format("{} still has the old address {}, in a line that does not select a card: look "
                            "whether it must change",
                            file.path, mac.text()));
    }
}

// udev up to 186 went by way of a free name when two cards had to change names; later ones give up at once, and a unit
// of ours does it.
void kernel_names(const Situation& now, Texts& texts) {
    if (now.traits.swaps_names) return;
    Texts names;
    for (const auto& nic : now.nics)
        if (kernel_reserved(nic.name)) names.push_back(nic.name);
    if (names.size() < 2) return;
    std::string listed;
    for (const auto& name : names) listed += (listed.empty() ? "" : ", ") + name;
    texts.push_back(fmt::format(
        "{} are names that the kernel hands out in the order it finds the cards{}: give the new machine its adapters "
        "in "
        "this order, and check them after the first boot",
        listed,
        now.traits.systemd ? "; if it is the wrong one, slipway-interface-names.service puts them right at each start"
                           : ", and nothing in this system changes two of them against each other"));
}

}  // namespace

bool written_by_cloud_init(const std::vector<ConfigFile>& files) {
    return std::any_of(files.begin(), files.end(), [](const ConfigFile& file) {
        const auto leaf = file.path.substr(file.path.rfind('/') + 1);
        if (leaf.starts_with("50-cloud-init") || leaf.starts_with("cloud-init-")) return true;
        const auto head = std::string_view(file.text).substr(0, 512);
        return head.find("by cloud-init") != std::string_view::npos ||
               head.find("from information provided by the datasource") != std::string_view::npos;
    });
}

std::vector<std::string> advice(const Situation& now, const std::vector<ConfigFile>& after) {
    Texts texts;
    if (now.nics.empty()) {
        missing_adapters(now, texts);
        return texts;
    }
    unknown_adapters(now, texts);
    missing_adapters(now, texts);
    by_hardware(now, texts);
    kernel_names(now, texts);
    dhcp_clients(now, texts);
    fixed_addresses(now, texts);
    leftovers(now, after, texts);
    if (now.traits.connman)
        texts.push_back(
            "connman keeps its networks by the card's address, which is not repaired: configure it by hand");
    return texts;
}

}  // namespace slipway::fixup
