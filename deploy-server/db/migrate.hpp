// SPDX-License-Identifier: GPL-3.0-or-later
// The schema of a database file, brought up a version by each entry of a list. An entry that was released is never
// changed.
#pragma once

#include <span>

#include "deploy-server/db/sqlite.hpp"

namespace slipway::server {

// Error: server.newer-database.
Status migrate(Sqlite& sqlite, std::span<const char* const> entries);

}  // namespace slipway::server
