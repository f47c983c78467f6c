// SPDX-License-Identifier: GPL-3.0-or-later
// Whom a session is for: the machines of a group's job that lay an image down, or may still come to it.
#pragma once

#include "deploy-server/db/database.hpp"

namespace slipway::server {

struct Audience {
    std::int64_t job = 0;  // that the machines have in common; else the task's own
    bool alone = true;     // jobs that run one after the other, as those of a migration do, are of one machine
    unsigned most = 0;     // so many of them may be at it at a time; 0: all
    std::string sequence;  // XML; who runs the same one comes to the task at the same step
    std::size_t step = 0;
};
// job: the task's.
Result<Audience> audience_of(Database& db, std::int64_t job);
// Those that are at it or before it: who failed, was cancelled, or is past it does not come any more.
Result<unsigned> machines_of(Database& db, const Audience& audience);

}  // namespace slipway::server
