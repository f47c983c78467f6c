// SPDX-License-Identifier: GPL-3.0-or-later
// Which version of an image a job lays down. A name means the newest version, and that changes while a job over many
// machines runs: so it is settled once, when the job is made, for all of its children, and written into their
// sequences as NAME@VERSION; a resume finds it there. An image that the job itself captures before is settled by what
// that capture says it has stored.
#pragma once

#include <functional>
#include <map>
#include <set>

#include "deploy-server/jobs/hub.hpp"

namespace slipway::server {

class ImageBinder {
public:
    // resolve: NAME or NAME@VERSION to NAME@VERSION as the store has it; its error refuses the job.
    explicit ImageBinder(ResolveImage resolve) : resolve_(std::move(resolve)) {}
    // Of the request and all below it; inherited: variables of those above. Every name is asked for once.
    Status bind(JobRequest& request, const sequences::Values& inherited);
    const std::map<std::string, std::string>& settled() const { return settled_; }  // as asked for, NAME@VERSION

private:
    Status bind(JobRequest& request, const sequences::Values& inherited, std::set<std::string>& captured);
    Status bind_tasks(JobRequest& request, const sequences::Values& variables, std::set<std::string>& captured);

    ResolveImage resolve_;
    std::map<std::string, std::string> settled_;
};

bool has_version(std::string_view image);  // NAME@VERSION

}  // namespace slipway::server
