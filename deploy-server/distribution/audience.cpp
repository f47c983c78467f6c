// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/distribution/audience.hpp"

#include <algorithm>

namespace slipway::server {

Result<Audience> audience_of(Database& db, std::int64_t id) {
    Audience out;
    out.job = id;
    const auto job = TRY(db.job(id));
    if (!job || job->parent == 0) return out;
    const auto parent = TRY(db.job(job->parent));
    if (!parent || parent->mode != JobMode::Parallel) return out;
    const auto run = TRY(db.run_of(id));
    return Audience{job->parent, false, parent->max_parallel, job->sequence_xml, run ? run->record.current : 0};
}

Result<unsigned> machines_of(Database& db, const Audience& audience) {
    if (audience.alone) return 1u;
    unsigned machines = 0;
    for (const auto id : TRY(db.children(audience.job))) {
        const auto child = TRY(db.job(id));
        using sequences::RunState;
        if (!child || (child->state != RunState::Queued && child->state != RunState::Running)) continue;
        const auto run = child->sequence_xml == audience.sequence ? TRY(db.run_of(id)) : std::nullopt;
        machines += !run || run->record.current <= audience.step;
    }
    return audience.most ? std::min(machines, audience.most) : machines;
}

}  // namespace slipway::server
