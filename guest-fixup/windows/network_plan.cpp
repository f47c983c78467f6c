// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>
#include <charconv>

#include "guest-fixup/windows/network_settings.hpp"
#include "lib/base/bytes.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

constexpr std::string_view kNetClass = "{4D36E972-E325-11CE-BFC1-08002BE10318}";
constexpr std::uint64_t kPhysical = 0x4;  // NCF_PHYSICAL of Characteristics
constexpr std::size_t kMostAdapters = 64;

bool valid_guid(std::string_view guid) {
    if (guid.size() != 38 || guid.front() != '{' || guid.back() != '}') return false;
    for (std::size_t i = 1; i < 37; ++i) {
        const bool dash = i == 9 || i == 14 || i == 19 || i == 24;
        if (dash ? guid[i] != '-' : !std::isxdigit(static_cast<unsigned char>(guid[i]))) return false;
    }
    return true;
}

std::string upper(std::string_view text) {
    std::string out(text);
    for (auto& c : out)
        if (c >= 'a' && c <= 'z') c = static_cast<char>(c - 'a' + 'A');
    return out;
}

std::string mask_of(unsigned length) {
    return Ipv4Address{length == 0 ? 0 : ~std::uint32_t{0} << (32 - length)}.text();
}

std::optional<MacAddress> mac_of(const Hive& system, const std::string& control, const std::string& class_key,
                                 const OldAdapter& adapter) {
    const auto kernel = fmt::format("{}\\NetworkSetup2\\Interfaces\\{}\\Kernel", control, adapter.guid);
    if (const auto value = system.get(kernel, "PermanentAddress"); value && value->data.size() == 6)
        if (auto mac = MacAddress::parse(to_hex(as_bytes(value->data))); mac && !mac->is_zero()) return mac;
    if (auto mac = MacAddress::parse(system.string(class_key, "NetworkAddress").value_or(""))) return mac;
    return serial_number_mac(adapter.instance);
}

// Settings of the personality over those that were there.
void lay_over(AdapterSettings& settings, const InterfaceSetup& setup) {
    settings.dhcp = setup.dhcp;
    settings.addresses.clear();
    settings.gateways.clear();
    settings.addresses6.clear();
    settings.gateways6.clear();
    for (const auto& address : setup.addresses) {
        const auto slash = address.find('/');
        if (is_ipv6(address)) settings.addresses6.push_back(address);
        else
            settings.addresses.push_back(
                {address.substr(0, slash),
                 mask_of(static_cast<unsigned>(parse_u64(address.substr(slash + 1)).value_or(24)))});
    }
    if (settings.addresses.empty()) settings.dhcp = true;  // of IPv4
    for (const auto& gateway : setup.gateways) {
        if (is_ipv6(gateway)) settings.gateways6.push_back(gateway);
        else settings.gateways.push_back({gateway, 0});
    }
    if (!setup.dns.empty()) {
        settings.dns.clear();
        settings.dns6.clear();
        for (const auto& server : setup.dns) (is_ipv6(server) ? settings.dns6 : settings.dns).push_back(server);
    }
    if (!setup.search.empty()) settings.domain = setup.search[0];
}

// The old adapter that a mapping means, taken out of the list.
std::optional<OldAdapter> take(std::vector<OldAdapter>& adapters, const NicMapping& nic) {
    const auto found = std::find_if(adapters.begin(), adapters.end(), [&](const OldAdapter& adapter) {
        return (nic.old_mac && adapter.mac == nic.old_mac) ||
               (!nic.old_name.empty() && iequals(nic.old_name, adapter.connection));
    });
    if (found == adapters.end()) return std::nullopt;
    auto out = std::move(*found);
    adapters.erase(found);
    return out;
}

std::string shown(const NicMapping& nic) { return nic.old_mac ? nic.old_mac->text() : nic.old_name; }

}  // namespace

std::optional<MacAddress> serial_number_mac(std::string_view instance) {
    const auto at = instance.rfind('\\');
    const auto last = at == std::string_view::npos ? instance : instance.substr(at + 1);
    // An EUI-64 and a function number: 000C29 FFFF F3FFDE 00.
    if (last.size() != 18 || !iequals(last.substr(6, 4), "FFFF")) return std::nullopt;
    const auto mac = MacAddress::parse(fmt::format("{}{}", last.substr(0, 6), last.substr(10, 6)));
    if (!mac || mac->is_zero() || mac->is_multicast()) return std::nullopt;
    return mac;
}

std::vector<OldAdapter> old_adapters(const Hive& system, const WindowsSystem& windows,
                                     std::vector<std::string>& warnings) {
    std::vector<OldAdapter> out;
    const auto control = windows.control_set + "\\Control";
    const auto classes = fmt::format("{}\\Class\\{}", control, kNetClass);
    for (const auto& number : system.keys(classes)) {
        const auto key = classes + "\\" + number;
        OldAdapter adapter;
        adapter.guid = upper(system.string(key, "NetCfgInstanceId").value_or(""));
        if (!valid_guid(adapter.guid) || (system.number(key, "Characteristics").value_or(0) & kPhysical) == 0) continue;
        if (out.size() >= kMostAdapters) break;
        const auto connection = fmt::format("{}\\Network\\{}\\{}\\Connection", control, kNetClass, adapter.guid);
        adapter.class_key = number;
        adapter.description = system.string(key, "DriverDesc").value_or("");
        adapter.connection = system.string(connection, "Name").value_or(adapter.description);
        adapter.instance = system.string(key, "DeviceInstanceID").value_or("");
        if (adapter.instance.empty()) adapter.instance = system.string(connection, "PnpInstanceID").value_or("");
        adapter.mac = mac_of(system, control, key, adapter);
        adapter.luid = luid_name(system, key);
        adapter.settings = settings_of(system, windows, adapter, warnings);
        out.push_back(std::move(adapter));
    }
    return out;
}

NetworkPlan plan_network(const Hive& system, const WindowsSystem& windows, const std::vector<NicMapping>& nics,
                         const std::vector<InterfaceSetup>& setups) {
    NetworkPlan plan;
    auto adapters = old_adapters(system, windows, plan.warnings);
    std::vector<NicMapping> open;
    for (const auto& nic : nics) {
        if (auto old = take(adapters, nic)) plan.adapters.push_back({nic.new_mac, old, old->settings});
        else open.push_back(nic);
    }
    const bool lost = std::any_of(adapters.begin(), adapters.end(), [&](const OldAdapter& adapter) {
        return (!adapter.settings.dhcp || !adapter.settings.addresses6.empty()) &&
               std::none_of(nics.begin(), nics.end(),
                            [&](const NicMapping& nic) { return adapter.mac == nic.new_mac; });
    });
    // One card of which no address is known, and one address that no card is known by.
    std::erase_if(adapters, [](const OldAdapter& adapter) { return adapter.mac.has_value(); });
    if (open.size() == 1 && adapters.size() > 1)
        std::erase_if(adapters, [](const OldAdapter& adapter) { return !adapter.settings.by_hand(); });
    const bool only = open.size() == 1 && adapters.size() == 1;
    for (const auto& nic : open) {
        NewAdapter adapter{nic.new_mac, std::nullopt, {}};
        if (only) {
            adapter.old = adapters[0];
            adapter.settings = adapters[0].settings;
        } else if (lost) {
            plan.warnings.push_back(fmt::format(
                "which of several adapters had {} is not in the registry: its static address was not carried over. "
                "Name the adapter by its connection's name, or give the address (--address)",
                shown(nic)));
        }
        plan.adapters.push_back(std::move(adapter));
    }
    for (const auto& setup : setups)
        for (auto& adapter : plan.adapters)
            if (setup.mac == adapter.mac || (!setup.mac && adapter.old && iequals(setup.name, adapter.old->connection)))
                adapter.asked = true, lay_over(adapter.settings, setup);
    const auto routes6 = windows.control_set + "\\Control\\Nsi\\{eb004a01-9b1a-11d4-9123-0050047759bc}\\16";
    if (!plan.adapters.empty() && !system.values(routes6).empty())
        plan.warnings.emplace_back(
            "this Windows has IPv6 routes set by hand, in a form that is not read: where no router announces itself, "
            "give the gateway by --address");
    return plan;
}

}  // namespace slipway::fixup::windows
