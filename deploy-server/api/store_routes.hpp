// SPDX-License-Identifier: GPL-3.0-or-later
// The store's chunks and manifests by REST, and its care (docs/protocols/rest.md, "The store").
#pragma once

#include "deploy-server/api/store_sessions.hpp"
#include "deploy-server/api/store_work.hpp"

namespace slipway::server {

struct StorePlace {
    ChunkDesk& desk;
    StoreSessions& sessions;
    StoreWork& work;
};

// Bodies are limited as an agent's are. Who may call is decided before, by the one guard of server.cpp.
void add_store_routes(http::Router& router, const StorePlace& place);

}  // namespace slipway::server
