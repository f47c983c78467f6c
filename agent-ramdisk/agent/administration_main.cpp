// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway-agent`: the administration agent of a running system, such as a VM host.
#include <iostream>

#include "agent-ramdisk/agent/command_line.hpp"
#include "agent-ramdisk/agent/vm_tasks.hpp"
#include "lib/base/exit_code.hpp"
#include "slipway_version.hpp"

namespace {

// Several VMs may be waited for at once.
constexpr std::size_t kTasksAtOnce = 8;

// A running system is not captured, deployed onto or repaired, and not switched off by a sequence meant for a device.
slipway::agent::TaskTable administration_tasks() {
    auto table = slipway::agent::device_tasks();
    for (const char* type : {"capture-image", "deploy-image", "disk", "repair", "shutdown", "reboot"})
        table.erase(type);
    return table;
}

}  // namespace

int main(int argc, char** argv) {
    using namespace slipway;
    CLI::App app("The Slipway administration agent: carries out a controller's tasks on this running system.",
                 "slipway-agent");
    app.set_version_flag("--version", std::string("slipway-agent ") + kVersion);
    app.footer(
        "Examples:\n  slipway device add hercules --kind vmhost && slipway device enroll hercules --directory "
        "/etc/slipway-agent\n"
        "  slipway-agent --server https://deploy:8443 --ca /etc/slipway-agent/ca.pem --token-file "
        "/etc/slipway-agent/token\n");
    agent::CommandLine command_line;
    command_line.state_directory = "/var/lib/slipway-agent";
    command_line.add_to(app);
    std::string driver = "qemu", vm_directory = "/var/lib/slipway-agent/vm";
    app.add_option("--vm-target", driver, "what runs the VMs")
        ->check(CLI::IsMember({"qemu", "null"}))
        ->capture_default_str();
    app.add_option("--vm-dir", vm_directory, "state of the VMs")->capture_default_str();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? kExitDone : kExitUsage;
    }
    vmm::QemuOptions options;
    options.state_dir = vm_directory;
    auto target = vmm::select_target(driver, options);
    if (!target) {
        std::cerr << "error: " << target.error().explain() << "\n";
        return kExitFailed;
    }
    auto tasks = administration_tasks();
    agent::add_vm_tasks(tasks, **target);
    return agent::run_until_signal(command_line, "administration", kTasksAtOnce, tasks);
}
