// SPDX-License-Identifier: GPL-3.0-or-later
// The agent's life: become known, say hello, fetch tasks, run each on a thread of its own, report. The
// server may vanish and return at any instant; a final report is repeated until it was heard.
#pragma once

#include "agent-ramdisk/agent/task.hpp"

namespace slipway::agent {

struct AgentOptions {
    LinkOptions link;
    std::string kind = "da";                         // or "administration"
    std::size_t max_tasks = 1;                       // at once
    std::string post_system;                         // program that takes PostSystem's archive; empty: none is fetched
    std::string ready_file;                          // made when the server has answered; empty: none
    std::function<void(const std::string&)> status;  // one line for the machine's screen, whenever it changes
};

// Until `stop`, or for ever. An Error is one that trying again does not cure: a refused token, a released device.
Status run_agent(Machine& machine, const AgentOptions& options, const TaskTable& tasks, const std::atomic<bool>& stop);

}  // namespace slipway::agent
