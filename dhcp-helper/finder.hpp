// SPDX-License-Identifier: GPL-3.0-or-later
// Which DHCP and PXE servers answer on a segment? Sends two DISCOVERs of its own, as an ordinary client and as a PXE
// client, from made-up addresses, and reads what answers exactly those. Takes no lease.
#pragma once

#include <chrono>
#include <set>
#include <string>
#include <vector>

#include "dhcp-helper/codec.hpp"

namespace slipway::dhcp {

struct FoundServer {
    Ipv4Address address;  // it answered from
    MacAddress mac;       // its frame, or that of the relay before it
    Ipv4Address server_id, offered, next_server, relay;
    bool asked_as_pxe = false;
    bool pxe = false;  // says PXEClient or HTTPClient
    std::string boot_file;
    std::vector<std::uint8_t> options;  // codes, in their order
    auto operator<=>(const FoundServer&) const = default;
    const char* kind() const { return offered.is_zero() ? "proxyDHCP" : pxe ? "DHCP with PXE" : "DHCP"; }
};

// What an operator has to know of them. `own`: addresses of this machine, whose server nobody has to be warned of; but
// two that give addresses, or two that answer boot clients, are two.
struct FoundJudgement {
    std::set<Ipv4Address> unexpected;  // neither expected nor ours; empty when nothing is expected
    bool doubled = false;
};
FoundJudgement judge(const std::vector<FoundServer>& found, const std::set<Ipv4Address>& expected,
                     const std::set<Ipv4Address>& own);

// Answers in the order they came, each once. Takes `patience`, no more. Needs CAP_NET_RAW.
Result<std::vector<FoundServer>> find_servers(const std::string& interface, std::chrono::milliseconds patience);

}  // namespace slipway::dhcp
