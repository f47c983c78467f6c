// SPDX-License-Identifier: GPL-3.0-or-later
// Network adapters: Win32_NetworkAdapter and its Configuration, joined by their index.
#include <algorithm>
#include <bit>
#include <map>

#include <fmt/format.h>

#include "gatherhw/importers/shared.hpp"
#include "gatherhw/importers/wmi_parts.hpp"
#include "lib/base/net.hpp"
#include "lib/base/strings.hpp"

namespace slipway::gatherhw {

namespace {

struct Pair {
    const WmiInstance* adapter = nullptr;
    const WmiInstance* configuration = nullptr;

    std::string get(std::string_view name) const {
        auto value = adapter ? adapter->get(name) : "";
        return value.empty() && configuration ? configuration->get(name) : value;
    }
};

// Drivers that join adapters, by their service: Windows 2012 and later, HP, Intel, Broadcom; the XP bridge.
struct Joins {
    std::string_view service;
    AdapterKind kind;
};
constexpr Joins kJoins[] = {{"ndisimplatform", AdapterKind::Team}, {"cpqteam", AdapterKind::Team},
                            {"hpteam", AdapterKind::Team},         {"ianswminiport", AdapterKind::Team},
                            {"iansminiport", AdapterKind::Team},   {"blfm", AdapterKind::Team},
                            {"bridgemp", AdapterKind::Bridge},     {"vmsmp", AdapterKind::Bridge}};

AdapterKind kind_of(const Pair& p) {
    auto service = to_lower(p.get("servicename")), pnp = to_lower(p.get("pnpdeviceid"));
    for (const auto& row : kJoins)
        if (service.starts_with(row.service)) return row.kind;
    auto type = to_lower(p.get("adaptertype") + p.get("name") + p.get("description"));
    if (type.find("wireless") != std::string::npos || type.find("wi-fi") != std::string::npos)
        return AdapterKind::Wireless;
    for (std::string_view bus : {"pci\\", "usb\\", "pcmcia\\", "eisa\\", "isapnp\\", "vmbus\\", "xen", "pci_"})
        if (pnp.starts_with(bus)) return AdapterKind::Physical;
    if (!pnp.empty() || p.configuration == nullptr) return AdapterKind::Virtual;
    // The configuration alone has no bus: what speaks IP and has an address of its own is taken for a card.
    bool speaks = p.configuration->is_true("ipenabled") && !mac_text(p.get("macaddress")).empty();
    return speaks ? AdapterKind::Physical : AdapterKind::Virtual;
}

std::uint32_t prefix_of(const std::string& mask) {
    if (auto bits = parse_u64(mask)) return static_cast<std::uint32_t>(std::min<std::uint64_t>(*bits, 128));
    auto parsed = Ipv4Address::parse(mask);
    return parsed ? static_cast<std::uint32_t>(std::popcount(parsed->value)) : 0;
}

void take_configuration(const WmiInstance& c, NetworkAdapter& a) {
    if (auto dhcp = c.flag("dhcpenabled"); dhcp && c.is_true("ipenabled")) {
        a.configuration = *dhcp ? AddressOrigin::Dhcp : AddressOrigin::Static;
        a.evidence = fmt::format("Win32_NetworkAdapterConfiguration: DHCPEnabled={}", *dhcp ? "TRUE" : "FALSE");
    }
    auto addresses = c.items("ipaddress"), masks = c.items("ipsubnet");
    for (std::size_t n = 0; n < addresses.size(); ++n) {
        bool v4 = addresses[n].find(':') == std::string::npos;
        auto origin = v4                                 ? a.configuration
                      : addresses[n].starts_with("fe80") ? AddressOrigin::LinkLocal
                                                         : AddressOrigin::Unknown;
        a.addresses.push_back({addresses[n], n < masks.size() ? prefix_of(masks[n]) : 0, origin});
    }
    if (auto gateways = c.items("defaultipgateway"); !gateways.empty()) a.gateway = gateways.front();
    for (auto& server : c.items("dnsserversearchorder"))
        if (server.find(' ') == std::string::npos) a.dns.push_back(std::move(server));
}

NetworkAdapter adapter_of(std::uint64_t index, const Pair& p) {
    NetworkAdapter a{.name = fmt::format("net{}", index), .kind = kind_of(p), .mac = mac_text(p.get("macaddress"))};
    a.permanent_mac = mac_text(p.get("permanentaddress"));
    if (a.permanent_mac.empty() && a.kind == AdapterKind::Physical) a.permanent_mac = a.mac;
    a.driver = p.get("servicename");
    a.description = p.get("name").empty() ? p.get("description") : p.get("name");
    a.connection = p.get("netconnectionid");
    auto pnp = to_lower(p.get("pnpdeviceid"));
    a.pci = pci_of_pnp(pnp);
    if (pnp.starts_with("usb\\")) a.bus = BusKind::Usb;
    constexpr auto kConnected = "2";
    a.link = p.get("netconnectionstatus") == kConnected;
    if (auto speed = parse_u64(p.get("speed")); speed && a.link)
        a.speed_mbit = static_cast<std::uint32_t>(std::min<std::uint64_t>(*speed / 1'000'000, 1'000'000));
    if (p.configuration) take_configuration(*p.configuration, a);
    return a;
}

}  // namespace

void wmi_network(const WmiMachine& machine, Inventory& out) {
    std::map<std::uint64_t, Pair> pairs;
    for (const auto& i : machine.of("win32_networkadapter"))
        pairs[i.get("index").empty() ? i.number("deviceid") : i.number("index")].adapter = &i;
    for (const auto& i : machine.of("win32_networkadapterconfiguration")) pairs[i.number("index")].configuration = &i;
    for (const auto& [index, pair] : pairs) {
        auto a = adapter_of(index, pair);
        // Miniports, tunnels and filters by the dozen; of a team or bridge the operator must hear.
        if (a.kind != AdapterKind::Virtual || !a.addresses.empty()) out.network.push_back(std::move(a));
    }
}

}  // namespace slipway::gatherhw
