// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/agent/errors.hpp"
#include "agent-ramdisk/agent/task.hpp"
#include "lib/base/strings.hpp"

namespace slipway::agent {

std::string TaskContext::get(const std::string& name, const std::string& fallback) const {
    auto found = parameters.find(name);
    return found == parameters.end() || found->second.empty() ? fallback : found->second;
}

Result<std::string> TaskContext::need(const std::string& name) const {
    auto value = get(name);
    if (value.empty()) return make_error(errors::kParameter, "parameter '{}' is missing", name);
    return value;
}

Result<bool> TaskContext::flag(const std::string& name, bool fallback) const {
    auto value = get(name, fallback ? "true" : "false");
    if (value != "true" && value != "false")
        return make_error(errors::kParameter, "parameter '{}' is '{}', not true or false", name, value);
    return value == "true";
}

std::vector<std::string> TaskContext::list(const std::string& name) const {
    std::vector<std::string> out;
    for (const auto& part : split(get(name), ';'))
        if (auto text = std::string(trim(part)); !text.empty()) out.push_back(text);
    return out;
}

TaskTable device_tasks() {
    auto ending = [](PowerAction action) {
        return [action](TaskContext&) -> Result<TaskOutcome> {
            TaskOutcome outcome;
            outcome.after = action;
            return outcome;
        };
    };
    return {{"capture-image", capture_task},
            {"deploy-image", deploy_task},
            {"disk", disk_task},
            {"inventory", inventory_task},
            {"repair", repair_task},
            {"run-script", script_task},
            {"copy-file", copy_task},
            {"shutdown", ending(PowerAction::Shutdown)},
            {"reboot", ending(PowerAction::Reboot)}};
}

}  // namespace slipway::agent
