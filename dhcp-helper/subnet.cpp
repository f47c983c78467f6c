// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp-helper/subnet.hpp"

#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "dhcp-helper/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::dhcp {

bool Subnet::in_range(Ipv4Address a) const {
    return std::any_of(ranges.begin(), ranges.end(), [&](const Range& r) { return r.contains(a); });
}

// check_config leaves them in order of address.
const Reservation* Subnet::reserved(Ipv4Address address) const {
    auto it = std::lower_bound(reservations.begin(), reservations.end(), address,
                               [](const Reservation& r, Ipv4Address a) { return r.address < a; });
    return it == reservations.end() || it->address != address ? nullptr : &*it;
}

std::string Subnet::text() const { return fmt::format("{}/{}", network.text(), prefix); }

namespace {

Status check_host(const Subnet& s, Ipv4Address a, std::string_view what) {
    if (!s.contains(a) || a == s.network || a == s.broadcast())
        return make_error(errors::kConfig, "{} {} is no host address of {}", what, a.text(), s.text());
    return {};
}

bool belongs_to_protocol(std::uint8_t code) {
    static constexpr std::uint8_t kCodes[] = {0, 1, 28, 50, 51, 52, 53, 54, 55, 56, 57, 58, 59, 61, 82, 255};
    return std::find(std::begin(kCodes), std::end(kCodes), code) != std::end(kCodes);
}

Status check_options(const Subnet& s) {
    for (const auto& option : s.options)
        if (belongs_to_protocol(option.code))
            return make_error(errors::kConfig, "{}: option {} is the protocol's own", s.text(), option.code);
    return {};
}

Status check_subnet(Subnet& s, const std::vector<std::string>& interfaces) {
    if (s.prefix < 8 || s.prefix > 30) return make_error(errors::kConfig, "{}: a prefix length is 8 to 30", s.text());
    if (s.network.value & ~s.mask().value) return make_error(errors::kConfig, "{} has bits of a host", s.text());
    if (!s.interface.empty() && std::find(interfaces.begin(), interfaces.end(), s.interface) == interfaces.end())
        return make_error(errors::kConfig, "{}: interface {} is not served", s.text(), s.interface);
    if (s.least_lease < std::chrono::seconds(1) || s.least_lease > s.lease || s.lease > s.longest_lease ||
        s.longest_lease > std::chrono::hours(24 * 3650))
        return make_error(errors::kConfig, "{}: lease times are not in order, or over ten years", s.text());
    std::sort(s.ranges.begin(), s.ranges.end(), [](const Range& a, const Range& b) { return a.first < b.first; });
    for (std::size_t i = 0; i < s.ranges.size(); ++i) {
        const auto& r = s.ranges[i];
        TRY(check_host(s, r.first, "range from"));
        TRY(check_host(s, r.last, "range to"));
        if (r.last < r.first || (i && r.first <= s.ranges[i - 1].last))
            return make_error(errors::kConfig, "{}: range {}-{} is backwards or overlaps another", s.text(),
                              r.first.text(), r.last.text());
    }
    auto& all = s.reservations;
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.mac < b.mac; });
    auto same_mac = std::adjacent_find(all.begin(), all.end(), [](auto& a, auto& b) { return a.mac == b.mac; });
    if (same_mac != all.end())
        return make_error(errors::kConfig, "{}: {} is reserved for twice", s.text(), same_mac->mac.text());
    std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) { return a.address < b.address; });
    for (std::size_t i = 0; i < all.size(); ++i) {
        TRY(check_host(s, all[i].address, "reservation"));
        if (i && all[i].address == all[i - 1].address)
            return make_error(errors::kConfig, "{}: {} is reserved twice", s.text(), all[i].address.text());
    }
    return check_options(s);
}

const OptionRow* row_named(std::string_view name) {
    auto number = parse_u64(name);
    auto it = std::find_if(kOptions.begin(), kOptions.end(),
                           [&](const OptionRow& r) { return number ? r.code == *number : r.name == name; });
    return it == kOptions.end() ? nullptr : &*it;
}

Result<Bytes> value_bytes(Kind kind, std::string_view value) {
    ByteWriter out;
    auto number = parse_u64(value);
    auto bad = [&] { return make_error(errors::kConfig, "'{}' is no such value", printable(value)); };
    switch (kind) {
        case Kind::Text:
            if (value.empty() || value.size() > 255) return bad();
            return to_bytes(value);
        case Kind::Hex: {
            auto bytes = from_hex(value);
            if (!bytes || bytes->empty()) return bad();
            return std::move(*bytes);
        }
        case Kind::U8:
        case Kind::Codes:
            if (!number || *number > 0xff) return bad();
            out.u8(static_cast<std::uint8_t>(*number));
            break;
        case Kind::U16:
            if (!number || *number > 0xffff) return bad();
            out.be16(static_cast<std::uint16_t>(*number));
            break;
        case Kind::U32:
            if (!number || *number > 0xffffffff) return bad();
            out.be32(static_cast<std::uint32_t>(*number));
            break;
        case Kind::Address:
        case Kind::Addresses:
            for (const auto& part : split(value, ',')) {
                auto address = Ipv4Address::parse(trim(part));
                if (!address || (kind == Kind::Address && out.size())) return bad();
                out.be32(address->value);
            }
            break;
    }
    return std::move(out).take();
}

Result<Range> range_from_text(std::string_view value) {
    auto dash = value.find('-');
    auto first = Ipv4Address::parse(value.substr(0, dash));
    auto last = dash == value.npos ? first : Ipv4Address::parse(value.substr(dash + 1));
    if (!first || !last) return make_error(errors::kConfig, "'{}' is no range FIRST-LAST", printable(value));
    return Range{*first, *last};
}

Result<Reservation> reservation_from_text(std::string_view value) {
    auto at = value.find('@');
    auto mac = MacAddress::parse(value.substr(0, at));
    auto address = at == value.npos ? std::nullopt : Ipv4Address::parse(value.substr(at + 1));
    if (!mac || !address) return make_error(errors::kConfig, "'{}' is no reservation MAC@ADDRESS", printable(value));
    return Reservation{*mac, *address, {}};
}

Status take_word(Subnet& s, std::string_view name, std::string_view value) {
    if (name == "interface") s.interface = value;
    else if (name == "range") s.ranges.push_back(TRY(range_from_text(value)));
    else if (name == "reserve") s.reservations.push_back(TRY(reservation_from_text(value)));
    else if (name == "lease") {
        auto seconds = parse_u64(value);
        if (!seconds || *seconds == 0 || *seconds > 3650u * 86400)
            return make_error(errors::kConfig, "'{}' is no lease in seconds", printable(value));
        s.lease = std::chrono::seconds(*seconds);
        s.least_lease = std::min(s.least_lease, s.lease);
        s.longest_lease = std::max(s.longest_lease, s.lease);
    } else if (name == "probe" || name == "ra") {
        if (value != "yes" && value != "no") return make_error(errors::kConfig, "{} is yes or no", name);
        (name == "ra" ? s.advertise : s.probe) = value == "yes";
    } else {
        std::string list(value);
        std::replace(list.begin(), list.end(), '+', ',');
        s.options.push_back(TRY(option_from_text(name, list)));
    }
    return {};
}

}  // namespace

Result<ServerConfig> check_config(ServerConfig config) {
    auto& all = config.subnets;
    for (auto& subnet : all) TRY(check_subnet(subnet, config.interfaces));
    for (std::size_t i = 0; i < all.size(); ++i)
        for (std::size_t j = 0; j < i; ++j)
            if (all[i].contains(all[j].network) || all[j].contains(all[i].network))
                return make_error(errors::kConfig, "{} and {} overlap", all[j].text(), all[i].text());
    if (config.offer_hold < std::chrono::seconds(1) || config.decline_hold < std::chrono::seconds(1))
        return make_error(errors::kConfig, "an offer or a declined address is held for a second at least");
    return config;
}

ServerConfig with_reservations(ServerConfig config, const std::vector<Reservation>& more,
                               std::vector<std::string>& left_out) {
    std::vector<std::set<MacAddress>> macs(config.subnets.size());
    std::vector<std::map<Ipv4Address, Reservation>> taken(config.subnets.size());
    for (std::size_t i = 0; i < config.subnets.size(); ++i)
        for (const auto& r : config.subnets[i].reservations) {
            macs[i].insert(r.mac);
            taken[i].emplace(r.address, r);
        }
    for (const auto& r : more) {
        auto subnet = std::find_if(config.subnets.begin(), config.subnets.end(),
                                   [&](const Subnet& s) { return s.contains(r.address); });
        auto refuse = [&](std::string why) { left_out.push_back(std::move(why)); };
        if (subnet == config.subnets.end()) {
            refuse(fmt::format("{} is in no subnet served here", r.address.text()));
            continue;
        }
        auto i = static_cast<std::size_t>(subnet - config.subnets.begin());
        auto own = std::find(config.addresses.begin(), config.addresses.end(), r.address) != config.addresses.end();
        if (auto host = check_host(*subnet, r.address, "reservation"); !host) refuse(host.error().describe());
        else if (own) refuse(fmt::format("{} is this server's own address", r.address.text()));
        else if (taken[i].contains(r.address))
            refuse(fmt::format("{} is reserved for {}", r.address.text(), taken[i][r.address].mac.text()));
        else if (!macs[i].insert(r.mac).second)
            refuse(fmt::format("{} has a reservation in {}", r.mac.text(), subnet->text()));
        else taken[i].emplace(r.address, r);
    }
    for (std::size_t i = 0; i < config.subnets.size(); ++i) {
        auto& all = config.subnets[i].reservations;
        all.clear();
        for (auto& [_, r] : taken[i]) all.push_back(std::move(r));  // in order of address
    }
    return config;
}

Result<Option> option_from_text(std::string_view name, std::string_view value) {
    const auto* row = row_named(name);
    auto number = parse_u64(name);
    if (!row && (!number || *number > 254))
        return make_error(errors::kConfig, "no option is called '{}'", printable(name));
    auto code = row ? row->code : static_cast<std::uint8_t>(*number);
    if (belongs_to_protocol(code)) return make_error(errors::kConfig, "option {} is the protocol's own", code);
    auto bytes = TRY_WITH(value_bytes(row ? row->kind : Kind::Hex, value), fmt::format("option {}", printable(name)));
    return Option{code, std::move(bytes)};
}

Result<Subnet> subnet_from_text(std::string_view text) {
    Subnet s;
    bool first = true;
    for (const auto& word : split(text, ',')) {
        auto equals = word.find('=');
        if (first) {
            auto slash = word.find('/');
            auto network = Ipv4Address::parse(std::string_view(word).substr(0, slash));
            auto prefix = slash == word.npos ? std::nullopt : parse_u64(std::string_view(word).substr(slash + 1));
            if (!network || !prefix || *prefix < 8 || *prefix > 30)
                return make_error(errors::kConfig, "'{}' is no NETWORK/PREFIX", printable(word));
            s.network = *network;
            s.prefix = static_cast<unsigned>(*prefix);
            first = false;
            continue;
        }
        if (equals == word.npos) return make_error(errors::kConfig, "'{}' is no NAME=VALUE", printable(word));
        TRY(take_word(s, std::string_view(word).substr(0, equals), std::string_view(word).substr(equals + 1)));
    }
    return s;
}

}  // namespace slipway::dhcp
