// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/netboot/addresses.hpp"

#include <ifaddrs.h>
#include <netinet/in.h>

#include <algorithm>
#include <cerrno>

#include "deploy-server/errors.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {

Result<std::vector<LocalAddress>> local_addresses() {
    std::vector<LocalAddress> out;
    ifaddrs* all = nullptr;
    if (::getifaddrs(&all) != 0) return errno_error(errno, "this machine's addresses");
    for (auto* i = all; i; i = i->ifa_next)
        if (i->ifa_addr && i->ifa_addr->sa_family == AF_INET)
            out.push_back({i->ifa_name, {ntohl(reinterpret_cast<const sockaddr_in*>(i->ifa_addr)->sin_addr.s_addr)}});
    ::freeifaddrs(all);
    return out;
}

Result<MovedAddresses> parse_moved(std::string_view text) {
    MovedAddresses out;
    for (const auto& line : split(text, '\n')) {
        auto words = std::string(trim(std::string_view(line).substr(0, line.find('#'))));
        if (words.empty()) continue;
        auto space = words.find(' ');
        auto address = space == words.npos ? std::nullopt : Ipv4Address::parse(trim(words.substr(space)));
        if (!address || space == 0) return make_error(errors::kAddress, "'{}' is not IFACE ADDRESS", printable(words));
        out[words.substr(0, space)] = *address;
    }
    return out;
}

std::string moved_text(const MovedAddresses& moved) {
    std::string out = "# By `slipway server address`, in place of what the configuration says.\n";
    for (const auto& [interface, address] : moved) out += interface + " " + address.text() + "\n";
    return out;
}

Result<MovedAddresses> read_moved(const std::filesystem::path& file) {
    if (std::error_code ec; !std::filesystem::exists(file, ec)) return MovedAddresses{};
    return parse_moved(TRY(read_text_file(file, 1u << 16)));
}

static bool has(const std::vector<LocalAddress>& here, const std::string& interface, Ipv4Address address) {
    return std::any_of(here.begin(), here.end(),
                       [&](const LocalAddress& a) { return a.interface == interface && a.address == address; });
}

Status settle_addresses(std::vector<pxe::Interface>& netboot, const MovedAddresses& moved,
                        const std::vector<LocalAddress>& here) {
    for (auto& interface : netboot) {
        if (auto to = moved.find(interface.name); to != moved.end()) {
            if (!has(here, to->first, to->second))
                return make_error(errors::kAddress, "{} has not the address {} that it was moved to", to->first,
                                  to->second.text());
            interface.address = to->second;
        }
        if (!interface.address.is_zero()) continue;
        auto first = std::find_if(here.begin(), here.end(),
                                  [&](const LocalAddress& a) { return a.interface == interface.name; });
        if (first == here.end()) return make_error(errors::kAddress, "{} has no IPv4 address", interface.name);
        interface.address = first->address;
    }
    return {};
}

Result<std::string> interface_for(Ipv4Address address, const std::vector<pxe::Interface>& netboot,
                                  const std::vector<LocalAddress>& here) {
    auto found = std::find_if(here.begin(), here.end(), [&](const LocalAddress& a) { return a.address == address; });
    if (found == here.end()) return make_error(errors::kAddress, "no interface has the address {}", address.text());
    if (std::none_of(netboot.begin(), netboot.end(), [&](const auto& i) { return i.name == found->interface; }))
        return make_error(errors::kAddress, "{} is on {}, where nothing is served", address.text(), found->interface);
    return found->interface;
}

}  // namespace slipway::server
