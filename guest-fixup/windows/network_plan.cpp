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
constexpr std::size_t kMostAdapters = 64, kMostNamed = 16;

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

// The old adapter that a mapping means, taken out of the list: by its address, which is one card's alone, before its
// name.
std::optional<OldAdapter> take(std::vector<OldAdapter>& adapters, const NicMapping& nic) {
    auto found = adapters.end();
    if (nic.old_mac)
        found = std::find_if(adapters.begin(), adapters.end(), [&](const auto& a) { return a.mac == nic.old_mac; });
    if (found == adapters.end() && !nic.old_name.empty())
        found = std::find_if(adapters.begin(), adapters.end(),
                             [&](const auto& a) { return iequals(nic.old_name, a.connection); });
    if (found == adapters.end()) return std::nullopt;
    auto out = std::move(*found);
    adapters.erase(found);
    return out;
}

std::string shown(const NicMapping& nic) { return nic.old_mac ? nic.old_mac->text() : nic.old_name; }

// "Local Area Connection" (Intel(R) PRO/1000 MT, 10.0.0.5)
std::string in_words(const OldAdapter& adapter) {
    std::vector<std::string> known;
    if (!adapter.description.empty()) known.push_back(printable(adapter.description));
    if (adapter.mac) known.push_back(adapter.mac->text());
    for (const auto& address : adapter.settings.addresses) known.push_back(address.ip);
    return fmt::format("\"{}\" ({})", printable(adapter.connection), join(known, ", "));
}

std::string in_words(const std::vector<OldAdapter>& adapters) {
    std::vector<std::string> out;
    for (const auto& adapter : adapters) {
        if (out.size() == kMostNamed) break;
        out.push_back(in_words(adapter));
    }
    return out.empty() ? "It has none" : "It has " + join(out, ", ");
}

bool is_of(const InterfaceSetup& setup, const NicMapping& nic) {
    return setup.mac ? setup.mac == nic.new_mac : iequals(setup.name, nic.old_name);
}

const OldAdapter* called(const std::vector<OldAdapter>& adapters, std::string_view name) {
    const auto found =
        std::find_if(adapters.begin(), adapters.end(), [&](const auto& a) { return iequals(name, a.connection); });
    return found == adapters.end() ? nullptr : &*found;
}

// The request's cards, and those that the personality alone knows: by their address, or by a connection whose card the
// registry knows, and which stays then.
std::vector<NicMapping> all_cards(std::vector<NicMapping> nics, const std::vector<InterfaceSetup>& setups,
                                  const std::vector<OldAdapter>& adapters) {
    for (const auto& setup : setups) {
        if (std::any_of(nics.begin(), nics.end(), [&](const auto& nic) { return is_of(setup, nic); })) continue;
        const auto* old = setup.mac ? nullptr : called(adapters, setup.name);
        if (setup.mac) nics.push_back({"", setup.mac, *setup.mac});
        else if (old && old->mac && std::none_of(nics.begin(), nics.end(), [&](const auto& nic) {
                     return nic.old_mac == old->mac || nic.new_mac == *old->mac;
                 }))
            nics.push_back({setup.name, std::nullopt, *old->mac});
    }
    return nics;
}

// What the personality says of a connection that is no card's of the plan.
std::string not_set(const InterfaceSetup& setup, const std::vector<OldAdapter>& all) {
    if (called(all, setup.name))
        return fmt::format(
            "which card \"{0}\" is now is not known: its address was not set. Say it: --nic \"{0}=NEW-MAC\"",
            printable(setup.name));
    return fmt::format("no connection of this Windows is called \"{}\": its address was not set. {}",
                       printable(setup.name), in_words(all));
}

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

NetworkPlan plan_network(const Hive& system, const WindowsSystem& windows, const std::vector<NicMapping>& asked,
                         const std::vector<InterfaceSetup>& setups) {
    NetworkPlan plan;
    const auto all = old_adapters(system, windows, plan.warnings);
    const auto nics = all_cards(asked, setups, all);
    auto adapters = all;
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
        const bool given = std::any_of(setups.begin(), setups.end(), [&](const auto& s) { return is_of(s, nic); });
        if (only) {
            adapter.old = adapters[0];
            adapter.settings = adapters[0].settings;
        } else if (lost && !given) {
            plan.warnings.push_back(fmt::format(
                "which of several adapters had {} is not in the registry: its static address was not carried over. "
                "Name the adapter by its connection (--nic \"CONNECTION={}\"), or give the address (--address "
                "\"{}=…\"). "
                "{}",
                printable(shown(nic)), nic.new_mac.text(), nic.new_mac.text(), in_words(all)));
        }
        plan.adapters.push_back(std::move(adapter));
    }
    for (const auto& setup : setups) {
        bool set = false;
        for (auto& adapter : plan.adapters) {
            const bool by_name = !setup.mac && ((adapter.old && iequals(setup.name, adapter.old->connection)) ||
                                                std::any_of(nics.begin(), nics.end(), [&](const auto& nic) {
                                                    return nic.new_mac == adapter.mac && is_of(setup, nic);
                                                }));
            if (setup.mac != adapter.mac && !by_name) continue;
            adapter.asked = set = true;
            lay_over(adapter.settings, setup);
        }
        if (!set) plan.warnings.push_back(not_set(setup, all));
    }
    const auto routes6 = windows.control_set + "\\Control\\Nsi\\{eb004a01-9b1a-11d4-9123-0050047759bc}\\16";
    if (!plan.adapters.empty() && !system.values(routes6).empty())
        plan.warnings.emplace_back(
            "this Windows has IPv6 routes set by hand, in a form that is not read: where no router announces itself, "
            "give the gateway by --address");
    return plan;
}

std::string in_words(const NewAdapter& adapter) {
    std::vector<std::string> known;
    for (const auto& address : adapter.settings.addresses) known.push_back(address.ip);
    known.insert(known.end(), adapter.settings.addresses6.begin(), adapter.settings.addresses6.end());
    if (known.empty()) known.emplace_back("DHCP");
    return fmt::format("card {} gets {}{}", adapter.mac.text(), join(known, ", "),
                       adapter.old ? ", being " + in_words(*adapter.old) + " of the old machine" : "");
}

}  // namespace slipway::fixup::windows
