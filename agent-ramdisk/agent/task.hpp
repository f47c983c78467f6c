// SPDX-License-Identifier: GPL-3.0-or-later
// What a task gets and gives. Tasks are rows of a table, so that the administration agent adds its own.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include <boost/json.hpp>

#include "agent-ramdisk/agent/controller_link.hpp"
#include "agent-ramdisk/agent/machine.hpp"
#include "lib/base/progress.hpp"

namespace slipway::agent {

struct TaskContext {
    Machine& machine;
    const LinkOptions& link;
    const Self& self;
    channel::Parameters parameters;
    ProgressSink progress;
    std::function<void(const std::string&)> log;
    const std::atomic<bool>& cancel;
    int cancel_fd = -1;  // readable once cancel is set, for what waits in poll()
    std::function<void(const channel::MulticastCounts&)> heard = {};  // goes with the next report; may be unset

    std::string get(const std::string& name, const std::string& fallback = {}) const;
    Result<std::string> need(const std::string& name) const;
    Result<bool> flag(const std::string& name, bool fallback) const;  // "true" or "false"
    std::vector<std::string> list(const std::string& name) const;     // separated by ';', blanks dropped
};

struct TaskOutcome {
    boost::json::object result;
    bool losses = false;
    PowerAction after = PowerAction::None;  // once the server has been told
};

using TaskFunction = Result<TaskOutcome> (*)(TaskContext&);
using TaskTable = std::map<std::string, std::function<Result<TaskOutcome>(TaskContext&)>, std::less<>>;

TaskTable device_tasks();

Result<TaskOutcome> capture_task(TaskContext& context);
Result<TaskOutcome> deploy_task(TaskContext& context);
Result<TaskOutcome> disk_task(TaskContext& context);
Result<TaskOutcome> inventory_task(TaskContext& context);
Result<TaskOutcome> repair_task(TaskContext& context);
Result<TaskOutcome> script_task(TaskContext& context);
Result<TaskOutcome> copy_task(TaskContext& context);

}  // namespace slipway::agent
