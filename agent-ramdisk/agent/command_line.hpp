// SPDX-License-Identifier: GPL-3.0-or-later
// What both agents are told on their command line, and running until a signal.
#pragma once

#include "agent-ramdisk/agent/runner.hpp"

#include <CLI/CLI.hpp>

namespace slipway::agent {

struct CommandLine {
    std::string server, bulk, token, token_file, mac, ca, state_directory, console, post_system, ready_file;
    std::vector<std::string> disks;
    void add_to(CLI::App& app);
    // Reads the files named. Errors: base.not-found and its kin.
    Result<LinkOptions> link() const;
    std::unique_ptr<Machine> machine() const;
    std::function<void(const std::string&)> status() const;  // to the console given, or none
};

// Runs the agent until SIGTERM or SIGINT; the exit code.
int run_until_signal(const CommandLine& command_line, const std::string& kind, std::size_t max_tasks,
                     const TaskTable& tasks);

}  // namespace slipway::agent
