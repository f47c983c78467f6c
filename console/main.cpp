// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway`: the controller's console, and local work on images and virtual disks.
#include <iostream>

#include "console/commands.hpp"
#include "slipway_version.hpp"

int main(int argc, char** argv) {
    using namespace slipway;
    using namespace slipway::console;
    catch_signals();
    CLI::App app("Slipway takes machines off their metal and lays images onto many.", "slipway");
    app.set_version_flag("--version", std::string("slipway ") + kVersion);
    app.require_subcommand(1);
    app.set_help_all_flag("--help-all", "the help of every command");
    app.footer("Exit codes: 0 done, 1 failed, 2 wrong usage, 3 done with warnings, 4 done with losses.");
    Context context;
    app.add_flag("--json", context.json, "one JSON document on standard output");
    add_device_commands(app, context);
    add_agent_commands(app, context);
    add_job_commands(app, context);
    add_migrate_command(app, context);
    add_vm_commands(app, context);
    add_dhcp_commands(app, context);
    add_distribution_commands(app, context);
    add_netboot_commands(app, context);
    add_server_commands(app, context);
    add_image_commands(app, context);
    add_vhd_commands(app, context);
    add_fixup_command(app, context);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        auto code = app.exit(error);
        return code == 0 ? kExitDone : kExitUsage;
    }
    if (!std::cout.flush()) {
        std::cerr << "error: standard output cannot be written\n";
        return kExitFailed;
    }
    return context.exit;
}
