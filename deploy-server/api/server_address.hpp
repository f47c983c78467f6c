// SPDX-License-Identifier: GPL-3.0-or-later
#pragma once

#include "deploy-server/api/api.hpp"
#include "deploy-server/netboot/dhcp.hpp"

namespace slipway::server {

struct ServerAddressPlace {
    Database& db;
    std::vector<pxe::Interface> netboot;
    DhcpSettings dhcp;
    std::filesystem::path file;  // STATE/address
};

void add_server_address_routes(http::Router& router, const ServerAddressPlace& place);

}  // namespace slipway::server
