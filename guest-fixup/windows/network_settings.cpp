// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/network_settings.hpp"

#include <arpa/inet.h>
#include <algorithm>

#include "lib/base/bytes.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

constexpr std::size_t kMostAddresses = 32;
constexpr std::uint64_t kMostMetric = 10'000;

bool good_mask(const std::string& text) {
    const auto mask = Ipv4Address::parse(text);
    return mask && !mask->is_zero() && (~mask->value & (~mask->value + 1)) == 0;
}

void read_gateways(const Hive& system, const std::string& key, AdapterSettings& out) {
    const auto gateways = list_of(system, key, "DefaultGateway");
    const auto metrics = list_of(system, key, "DefaultGatewayMetric");
    for (std::size_t i = 0; i < gateways.size(); ++i) {
        if (!good_ip4(gateways[i])) continue;
        const auto metric = i < metrics.size() ? parse_u64(metrics[i]).value_or(0) : 0;
        out.gateways.push_back({gateways[i], metric < kMostMetric ? static_cast<std::uint32_t>(metric) : 0});
    }
}

void read_ipv6(const Hive& system, const WindowsSystem& windows, const OldAdapter& adapter, AdapterSettings& out) {
    const auto key = windows.services() + "\\Tcpip6\\Parameters\\Interfaces\\" + adapter.guid;
    for (const auto& server : list_of(system, key, "NameServer"))
        if (good_ip6(server)) out.dns6.push_back(server);
    if (adapter.luid.empty()) return;
    const auto fixed = windows.control_set + "\\Control\\Nsi\\{eb004a01-9b1a-11d4-9123-0050047759bc}\\10";
    std::size_t looked_at = 0;
    for (const auto& name : system.values(fixed)) {
        if (!iequals(std::string_view(name).substr(0, adapter.luid.size()), adapter.luid)) continue;
        if (++looked_at > kMostAddresses) break;
        const auto value = system.get(fixed, name);
        if (auto address = value ? fixed_address6(adapter.luid, name, value->data) : std::nullopt)
            out.addresses6.push_back(*std::move(address));
    }
}

}  // namespace

bool good_ip4(const std::string& text) {
    const auto ip = Ipv4Address::parse(text);
    return ip && !ip->is_zero();
}

bool good_ip6(const std::string& text) {
    in6_addr address{};
    return ::inet_pton(AF_INET6, text.c_str(), &address) == 1 && !IN6_IS_ADDR_UNSPECIFIED(&address);
}

std::vector<std::string> list_of(const Hive& system, const std::string& key, const char* name) {
    std::vector<std::string> parts, out;
    if (auto strings = system.strings(key, name)) {
        parts = *std::move(strings);
    } else if (auto text = system.string(key, name)) {
        std::replace(text->begin(), text->end(), ',', ' ');
        parts = split(*text, ' ');
    }
    for (const auto& part : parts)
        if (!trim(part).empty() && out.size() < kMostAddresses) out.emplace_back(trim(part));
    return out;
}

void read_tcpip(const Hive& system, const std::string& key, const std::string& who, AdapterSettings& out,
                std::vector<std::string>& warnings) {
    out.dhcp = true;
    if (system.number(key, "EnableDHCP").value_or(0) != 0) return;
    const auto ips = list_of(system, key, "IPAddress"), masks = list_of(system, key, "SubnetMask");
    for (std::size_t i = 0; i < ips.size(); ++i) {
        if (ips[i] == "0.0.0.0") continue;
        if (i < masks.size() && good_ip4(ips[i]) && good_mask(masks[i])) out.addresses.push_back({ips[i], masks[i]});
        else
            warnings.push_back(fmt::format("{}: '{}' is no address with a mask, and was not carried over",
                                           printable(who), printable(ips[i].substr(0, 40))));
    }
    out.dhcp = out.addresses.empty();
    if (!out.dhcp) read_gateways(system, key, out);
}

AdapterSettings settings_of(const Hive& system, const WindowsSystem& windows, const OldAdapter& adapter,
                            std::vector<std::string>& warnings) {
    const auto key = windows.services() + "\\Tcpip\\Parameters\\Interfaces\\" + adapter.guid;
    AdapterSettings out;
    read_tcpip(system, key, adapter.connection, out, warnings);
    for (const auto& server : list_of(system, key, "NameServer"))
        if (good_ip4(server)) out.dns.push_back(server);
    read_ipv6(system, windows, adapter, out);
    const auto domain = system.string(key, "Domain").value_or("");
    if (valid_host_name(domain)) out.domain = domain;
    if (const auto metric = system.number(key, "InterfaceMetric"); metric && *metric > 0 && *metric < kMostMetric)
        out.metric = static_cast<std::uint32_t>(*metric);
    const auto netbt = windows.services() + "\\NetBT\\Parameters\\Interfaces\\Tcpip_" + adapter.guid;
    for (const auto& server : list_of(system, netbt, "NameServerList"))
        if (good_ip4(server) && out.wins.size() < 2) out.wins.push_back(server);
    if (const auto option = system.number(netbt, "NetbiosOptions"); option == 1 || option == 2)
        out.netbios = static_cast<std::uint32_t>(*option);
    return out;
}

std::string luid_name(const Hive& system, const std::string& class_key) {
    const auto index = system.number(class_key, "NetLuidIndex"), type = system.number(class_key, "*IfType");
    if (!index || !type || *index > 0xffffff || *type > 0xffff || *type == 0) return "";
    return to_hex(std::move(ByteWriter().le64(*type << 48 | *index << 24)).take());
}

std::optional<std::string> fixed_address6(std::string_view luid, std::string_view name, const std::string& data) {
    constexpr std::size_t kDigits = 32, kPrefixAt = 16;
    if (name.size() != luid.size() + kDigits || !iequals(name.substr(0, luid.size()), luid)) return std::nullopt;
    const auto bytes = from_hex(name.substr(luid.size()));
    if (!bytes || data.size() <= kPrefixAt) return std::nullopt;
    const auto prefix = static_cast<unsigned char>(data[kPrefixAt]);
    in6_addr address{};
    std::transform(bytes->begin(), bytes->end(), address.s6_addr,
                   [](std::byte b) { return std::to_integer<std::uint8_t>(b); });
    if (prefix == 0 || prefix > 128 || IN6_IS_ADDR_UNSPECIFIED(&address) || IN6_IS_ADDR_LOOPBACK(&address) ||
        IN6_IS_ADDR_MULTICAST(&address))
        return std::nullopt;
    char text[INET6_ADDRSTRLEN];
    if (!::inet_ntop(AF_INET6, &address, text, sizeof text)) return std::nullopt;
    return fmt::format("{}/{}", text, prefix);
}

}  // namespace slipway::fixup::windows
