// SPDX-License-Identifier: GPL-3.0-or-later
// The groups of commands; main.cpp adds them all.
#pragma once

#include "console/command.hpp"

namespace slipway::console {

void add_image_commands(CLI::App& root, Context& context);
void add_vhd_commands(CLI::App& root, Context& context);
void add_fixup_command(CLI::App& root, Context& context);
void add_device_commands(CLI::App& root, Context& context);
void add_job_commands(CLI::App& root, Context& context);
void add_vm_commands(CLI::App& root, Context& context);
void add_dhcp_commands(CLI::App& root, Context& context);
void add_distribution_commands(CLI::App& root, Context& context);
void add_throttle_command(CLI::App& job, Context& context);  // of `slipway job`
void add_server_commands(CLI::App& root, Context& context);
void add_agent_commands(CLI::App& root, Context& context);
// What of a device's cards and controllers has no driver, by /agent/ramdisks/NAME; empty: nothing is missing.
std::string missing_drivers_text(const boost::json::value& ramdisk);
void add_migrate_command(CLI::App& root, Context& context);
void add_netboot_commands(CLI::App& root, Context& context);
void add_netboot_settings(CLI::App& netboot, Context& context);  // settings and images of it

}  // namespace slipway::console
