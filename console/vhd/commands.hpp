// SPDX-License-Identifier: GPL-3.0-or-later
// The parts of `slipway vhd …`.
#pragma once

#include "console/command.hpp"
#include "lib/disks/vhd/operations.hpp"

namespace slipway::console {

void add_vhd_make_commands(CLI::App& vhd, Context& context);    // create, difference, reconnect, resize
void add_vhd_look_commands(CLI::App& vhd, Context& context);    // inspect, check
void add_vhd_change_commands(CLI::App& vhd, Context& context);  // convert, compact, merge

// Progress, and stopping at SIGINT.
disks::VhdWork vhd_work(const Context& context);
// "warning: …" lines, each made printable.
std::string warning_lines(const std::vector<std::string>& warnings);
boost::json::array json_texts(const std::vector<std::string>& texts);
inline ExitCode exit_for(const std::vector<std::string>& warnings) {
    return warnings.empty() ? kExitDone : kExitWarnings;
}

}  // namespace slipway::console
