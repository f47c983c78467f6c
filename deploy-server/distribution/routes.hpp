// SPDX-License-Identifier: GPL-3.0-or-later
// /api/v1/distribution and the throttle of a job.
#pragma once

#include "deploy-server/db/json.hpp"
#include "deploy-server/distribution/distribution.hpp"
#include "lib/http/server.hpp"

namespace slipway::server {

// What a job shows of its sessions: one for each image that its machines lay down now.
json::array multicast_of_job(Distribution& distribution, std::int64_t job);

void add_distribution_routes(http::Router& router, Distribution& distribution);

}  // namespace slipway::server
