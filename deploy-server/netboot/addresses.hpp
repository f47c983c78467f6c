// SPDX-License-Identifier: GPL-3.0-or-later
// What clients are told to reach this server by, interface by interface. An address stands in the configuration, or is
// the interface's own; `slipway server address` puts another in its place, kept in STATE/address. Everything else (DHCP
// and PXE answers, boot scripts, what agents get) follows from these.
#pragma once

#include <filesystem>
#include <map>

#include "pxe/service.hpp"

namespace slipway::server {

// An IPv4 address of this machine.
struct LocalAddress {
    std::string interface;
    Ipv4Address address;
};
Result<std::vector<LocalAddress>> local_addresses();

using MovedAddresses = std::map<std::string, Ipv4Address>;  // by interface

// "IFACE ADDRESS" a line, '#' begins a comment.
Result<MovedAddresses> parse_moved(std::string_view text);
std::string moved_text(const MovedAddresses& moved);

Result<MovedAddresses> read_moved(const std::filesystem::path& file);  // none when there is no file

// Fills in the addresses that are missing and those that were moved. Errors: server.address, when the interface has no
// such address, or none.
Status settle_addresses(std::vector<pxe::Interface>& netboot, const MovedAddresses& moved,
                        const std::vector<LocalAddress>& here);

// The interface of ours that is to have `address` from now on. Errors: server.address.
Result<std::string> interface_for(Ipv4Address address, const std::vector<pxe::Interface>& netboot,
                                  const std::vector<LocalAddress>& here);

}  // namespace slipway::server
