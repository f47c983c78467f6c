// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway-agent-da`: the Deployment Agent, main program of the ramdisk.
#include "agent-ramdisk/agent/command_line.hpp"
#include "lib/base/exit_code.hpp"
#include "slipway_version.hpp"

int main(int argc, char** argv) {
    using namespace slipway;
    CLI::App app("The Slipway Deployment Agent: carries out a controller's tasks on this machine.", "slipway-agent-da");
    app.set_version_flag("--version", std::string("slipway-agent-da ") + kVersion);
    app.footer(
        "Examples:\n  slipway-agent-da --server https://10.99.0.1:8443 --ca ca.pem --token HEX --mac "
        "52:54:00:51:00:01\n"
        "  slipway-agent-da --server https://deploy:8443 --ca ca.pem --token-file token --disk disk.img\n");
    agent::CommandLine command_line;
    command_line.state_directory = "/run/slipway-agent";
    command_line.add_to(app);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? kExitDone : kExitUsage;
    }
    return agent::run_until_signal(command_line, "da", 1, agent::device_tasks());
}
