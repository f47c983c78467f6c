// SPDX-License-Identifier: GPL-3.0-or-later
// What a DHCP server gives out: subnets with ranges, reservations and options, checked once.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "dhcp-helper/codec.hpp"

namespace slipway::dhcp {

struct Range {
    Ipv4Address first, last;  // both inclusive
    bool contains(Ipv4Address a) const { return first <= a && a <= last; }
};

struct Reservation {
    MacAddress mac;
    Ipv4Address address;    // may lie in a range: nobody else gets it
    std::string host_name;  // option 12 of the answer; empty: none
};

struct Subnet {
    Ipv4Address network;
    unsigned prefix = 24;   // 8 to 30
    std::string interface;  // broadcasts heard there belong here; empty: reached through relays only
    std::vector<Range> ranges;
    std::vector<Reservation> reservations;
    std::vector<Option> options;  // routers, name servers, …; mask, broadcast address and times are made by the server
    std::chrono::seconds lease{12 * 3600}, least_lease{60}, longest_lease{24 * 3600};  // what a client may ask for
    bool probe = true;                                                                 // see lease_engine.hpp
    bool advertise = true;  // answer router solicitations on `interface`: see router_advert.hpp

    Ipv4Address mask() const { return {~std::uint32_t{0} << (32 - prefix)}; }
    Ipv4Address broadcast() const { return {network.value | ~mask().value}; }
    bool contains(Ipv4Address a) const { return (a.value & mask().value) == network.value; }
    bool in_range(Ipv4Address a) const;
    const Reservation* reserved(Ipv4Address address) const;
    std::string text() const;  // "10.0.0.0/24"
};

struct ServerConfig {
    std::vector<std::string> interfaces;  // heard on; Arrived::port counts them
    std::vector<Ipv4Address> addresses;   // the server's own: never given out; any of them in option 54 means us
    // What clients heard on interfaces[i] are told to reach us by, unless another address of ours lies in their subnet;
    // missing or 0: the address the request came in on.
    std::vector<Ipv4Address> told;
    std::vector<Subnet> subnets;  // no two overlap
    bool authoritative = true;    // NAK what is wrong on these links; false: only what names us
    std::chrono::seconds offer_hold{60};
    std::chrono::seconds decline_hold{3600};
};

// The same configuration with its lists in order, or what is wrong with it.
Result<ServerConfig> check_config(ServerConfig config);

// `config` (checked) with further reservations. One that no subnet has a place for, or whose MAC or address is reserved
// there already, is left out, with the reason in `left_out`.
ServerConfig with_reservations(ServerConfig config, const std::vector<Reservation>& more,
                               std::vector<std::string>& left_out);

// An option by its name in kOptions or its number: "routers" "10.0.0.1,10.0.0.2"; a number without a name takes hex.
// Options that the protocol itself uses are refused.
Result<Option> option_from_text(std::string_view name, std::string_view value);

// "10.0.0.0/24,interface=eth1,range=10.0.0.10-10.0.0.99,reserve=52:54:00:12:34:56@10.0.0.5,lease=600,probe=no,ra=no,
// routers=10.0.0.1": the words of a Subnet, any other word an option (several values separated by '+').
Result<Subnet> subnet_from_text(std::string_view text);

}  // namespace slipway::dhcp
