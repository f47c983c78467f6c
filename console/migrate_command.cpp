// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway migrate`: capture, VM, deploy, repair and first boot as one job. Takes vmscript's switches.
#include <iostream>

#include "console/commands.hpp"
#include "console/errors.hpp"
#include "console/job_view.hpp"
#include "gatherhw/reader.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "vmscript/drop_ins.hpp"
#include "vmscript/missing_patches.hpp"
#include "vmscript/output.hpp"
#include "vmscript/plan.hpp"
#include "vmscript/render.hpp"
#include "vmscript/validation/validate.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;

struct MigrateArguments {
    std::string power_driver, image;
    std::vector<std::string> power_command, switches;
    bool nonetencrypt = false, no_wait = false;
};

json::object request_of(const vmscript::Plan& plan, const MigrateArguments& a) {
    // The adapter that boots comes first; it may be none of the inventory (--adminmac).
    json::array nics, macs{plan.source_mac};
    for (const auto& nic : plan.nics) {
        nics.push_back({{"name", nic.name}, {"old_mac", nic.old_mac}, {"new_mac", nic.new_mac}});
        if (nic.old_mac != plan.source_mac) macs.emplace_back(nic.old_mac);
    }
    json::object body{{"name", plan.name},
                      {"source_macs", macs},
                      {"image", plan.image},
                      {"vm_definition", vmscript::render_definition(plan)},
                      {"vmhost", plan.vm_host},
                      {"network", plan.network},
                      {"target_controller", std::string(name_of(plan.controller))},
                      {"firmware", plan.uefi ? "uefi" : "bios"},
                      {"postdeployaction", static_cast<int>(plan.post_deploy)},
                      {"nics", nics},
                      {"disks", vmscript::disks_parameter(plan)},
                      {"exclude", vmscript::exclude_parameter(plan)},
                      {"patch_directory", plan.patch_directory},
                      {"driver_directories", join(plan.driver_directories, ";")},
                      {"service_driver_file", plan.service_driver_state},
                      {"fix_hal", plan.fix_hal ? std::string(patches::name_of(*plan.fix_hal)) : ""},
                      {"processors", plan.processors},
                      {"suppress_console", plan.suppress_console},
                      {"nonetencrypt", a.nonetencrypt}};
    body["source_secure_boot"] = plan.secure_boot;
    // Without the option the source is switched as its record says, when it has one.
    if (!a.power_driver.empty() || !a.power_command.empty()) {
        body["source_power_driver"] = a.power_driver.empty() ? "command" : a.power_driver;
        body["source_power_command"] = json::array(a.power_command.begin(), a.power_command.end());
    }
    return body;
}

Result<ExitCode> migrate(const MigrateArguments& a, const Context& context) {
    auto words = a.switches;
    words.insert(words.begin(), "--hwgeneratep2v");
    auto switches = TRY(vmscript::parse_switches(words));
    if (switches.command != vmscript::Command::Generate)
        return make_error(errors::kUsage, "of vmscript's commands only --hwgeneratep2v is meant here");
    TRY(vmscript::load_files(switches));
    auto xml = TRY_WITH(read_text_file(switches.hw_info_file, 64u << 20), "reading the inventory");
    auto read = TRY_WITH(gatherhw::read_inventory(xml), "reading " + switches.hw_info_file);
    std::vector<std::string> problems;
    auto around = TRY(vmscript::read_surroundings(switches));
    around.patch_files = vmscript::missing_patch_files(read.inventory, switches);
    around.drop_ins = vmscript::drop_in_drivers(read.inventory, switches);
    for (const auto& f : vmscript::validate(read.inventory, switches, around, read.warnings)) {
        const bool passed_over = f.forcible && switches.force;
        if (f.verdict == vmscript::Verdict::Error && !passed_over) problems.push_back(f.what + ": " + f.found);
        else if (f.verdict >= vmscript::Verdict::Warning && !context.json)
            std::cerr << "warning: " << f.what << ": " << f.found << " " << f.to_do << "\n";
    }
    if (!problems.empty()) return make_error(errors::kNotFit, "{}", join(problems, "; "));
    auto plan = TRY(vmscript::make_plan(read.inventory, switches));
    if (!a.image.empty()) plan.image = a.image;
    // The same files that the step by step way begins with: to read, and to clean up with.
    auto files = vmscript::render_files(plan, read.inventory);
    auto directory = TRY(vmscript::write_files(switches.task_sequence_path, plan.name, files, switches.force));
    if (!context.json)
        std::cerr << "written: " << directory.string() << "; " << plan.name
                  << "_CleanupVM.sh there undoes a migration that failed\n";
    return start_job("/migrations", request_of(plan, a), !a.no_wait, context);
}

}  // namespace

void add_migrate_command(CLI::App& root, Context& context) {
    auto a = std::make_shared<MigrateArguments>();
    auto* app = add_command(
        root, context, "migrate", "Move a machine into a VM: capture, create, deploy, repair, prove, as one job",
        "  slipway migrate --hwinfofile poseidon.xml --name poseidon --vmconfigpath /var/lib/slipway-agent/vm \\\n"
        "      --virtualdiskpath /srv/vm --hwdestvs hercules --power-driver command --power-command "
        "/usr/local/sbin/pdu\n"
        "All switches of `vmscript --hwgeneratep2v` are taken; see vmscript --help. The files it writes are written "
        "too:\n"
        "p2v/NAME/NAME_CleanupVM.sh undoes a migration that failed. As one job, --postdeployaction 0 and 2 end alike, "
        "with\n"
        "the VM at work: nobody is there between the agent and the first boot to run the Reboot template.\n");
    app->add_option("--power-driver", a->power_driver,
                    "how the source is switched; without it as its record says, else prompt")
        ->check(CLI::IsMember({"prompt", "command"}));
    app->add_option("--power-command", a->power_command,
                    "program and its arguments, one word each; on, off, cycle or status is added");
    app->add_option("--image", a->image, "name of the image; without it the VM's name");
    app->add_flag("--nonetencrypt", a->nonetencrypt, "bulk data in the clear, still verified by hash");
    app->add_flag("--no-wait", a->no_wait, "only start the job");
    app->allow_extras();
    on_command(*app, context, [a, app, &context] {
        a->switches = app->remaining();
        return migrate(*a, context);
    });
}

}  // namespace slipway::console
