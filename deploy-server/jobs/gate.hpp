// SPDX-License-Identifier: GPL-3.0-or-later
// Shared between the hub and its workers: a worker that ends after the hub finds the gate closed.
// Lock order: the gate's mutex, then the hub's.
#pragma once

#include "deploy-server/jobs/hub.hpp"

namespace slipway::server {

struct Hub::Gate {
    std::mutex mutex;
    Hub* hub = nullptr;
};

}  // namespace slipway::server
