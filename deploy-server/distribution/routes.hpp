// SPDX-License-Identifier: GPL-3.0-or-later
// /api/v1/distribution and the throttle of a job.
#pragma once

#include "deploy-server/distribution/distribution.hpp"
#include "lib/http/server.hpp"

namespace slipway::server {

void add_distribution_routes(http::Router& router, Distribution& distribution);

}  // namespace slipway::server
