// SPDX-License-Identifier: GPL-3.0-or-later
// /api/v1/dhcp: how each interface is served, the lease table, reservations.
#pragma once

#include "deploy-server/api/api.hpp"
#include "deploy-server/netboot/dhcp.hpp"

namespace slipway::server {

struct DhcpPlace {
    Database& db;
    const Clock& clock;
    DhcpDesk* desk;  // null: no DHCP server here
    std::vector<pxe::Interface> interfaces;
};

void add_dhcp_routes(http::Router& router, const DhcpPlace& place);

}  // namespace slipway::server
