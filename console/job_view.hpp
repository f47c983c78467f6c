// SPDX-License-Identifier: GPL-3.0-or-later
// Jobs as text, and following one until it ends.
#pragma once

#include "console/command.hpp"
#include "console/rest_client.hpp"

namespace slipway::console {

std::string job_text(const boost::json::value& job);  // with steps, proof, children

// Follows events and progress on stderr until the job has ended, over any outage of the server; the job as it ended.
// Cancelled by the user (Ctrl-C): stops following; the job goes on.
Result<boost::json::value> follow_job(RestClient& client, const std::string& id, const Context& context);

// By the job's state: done 0, done with losses 4 (a step of state "losses"), failed or cancelled 1.
ExitCode exit_of(const boost::json::value& job);

// Starts a job and, when `wait` is set, follows it and prints how it ended.
Result<ExitCode> start_job(const std::string& path, const boost::json::value& request, bool wait,
                           const Context& context);

}  // namespace slipway::console
