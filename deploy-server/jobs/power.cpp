// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/jobs/power.hpp"

#include "deploy-server/errors.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"

namespace slipway::server {

std::string_view name_of(PowerVerb verb) {
    switch (verb) {
        case PowerVerb::On: return "on";
        case PowerVerb::Off: return "off";
        case PowerVerb::Cycle: return "cycle";
        case PowerVerb::Status: return "status";
    }
    return "?";
}

PowerState power_state_in(std::string_view output) {
    auto word = to_lower(trim(output));
    if (auto space = word.find_last_of(" \t\n"); space != std::string::npos) word = word.substr(space + 1);
    if (word == "on") return PowerState::On;
    if (word == "off") return PowerState::Off;
    return PowerState::Unknown;
}

Result<std::string> run_power_command(const std::vector<std::string>& command, PowerVerb verb) {
    if (command.empty()) return make_error(errors::kPower, "the device has no power command");
    auto argv = command;
    argv.emplace_back(name_of(verb));
    CommandOptions options;
    options.timeout = std::chrono::seconds(60);
    options.output_limit = 64 << 10;
    auto result = run_command(argv, options);
    if (!result) return make_error(errors::kPower, "{}", result.error().describe());
    if (!result->ok())
        return make_error(errors::kPower, "{} {} ended with {}: {}", printable(command[0]), name_of(verb),
                          result->exit_code, printable(trim(result->error_text)));
    return std::move(result->output);
}

}  // namespace slipway::server
