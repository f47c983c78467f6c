// SPDX-License-Identifier: GPL-3.0-or-later
// /api/v1/agent/ramdisks: what devices boot, with sizes and reasons.
#pragma once

#include "deploy-server/api/api.hpp"
#include "deploy-server/db/database.hpp"
#include "deploy-server/netboot/ramdisks.hpp"
#include "lib/http/server.hpp"

namespace slipway::server {

void add_ramdisk_routes(http::Router& router, Database& db, Ramdisks& ramdisks, LongCalls& calls);

}  // namespace slipway::server
