// SPDX-License-Identifier: GPL-3.0-or-later
// Power drivers: prompt (the operator), command (argv with the verb appended), vm (tasks of the VM
// host's agent; the hub gives those out).
#pragma once

#include <string>

#include "deploy-server/db/database.hpp"

namespace slipway::server {

enum class PowerVerb { On, Off, Cycle, Status };
enum class PowerState { Unknown, On, Off };
std::string_view name_of(PowerVerb verb);

// "on" or "off" as the last word of what a command printed for `status`.
PowerState power_state_in(std::string_view output);

// Runs the device's command: blocks up to a minute. The command's output. Error: server.power.
Result<std::string> run_power_command(const std::vector<std::string>& command, PowerVerb verb);

}  // namespace slipway::server
