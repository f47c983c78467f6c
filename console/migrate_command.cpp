// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway migrate`: capture, VM, deploy, repair and first boot as one job. Takes vmscript's switches.
#include <iostream>

#include "console/commands.hpp"
#include "console/errors.hpp"
#include "console/job_view.hpp"
#include "gatherhw/reader.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"
#include "vmscript/checks.hpp"
#include "vmscript/plan.hpp"
#include "vmscript/render.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;

struct MigrateArguments {
    std::string power_driver = "prompt", image;
    std::vector<std::string> power_command, switches;
    bool nonetencrypt = false, no_wait = false;
};

Result<ExitCode> migrate(const MigrateArguments& a, const Context& context) {
    auto words = a.switches;
    words.insert(words.begin(), "--hwgeneratep2v");
    auto switches = TRY(vmscript::parse_switches(words));
    auto xml = TRY_WITH(read_text_file(switches.hw_info_file, 64u << 20), "reading the inventory");
    auto read = TRY_WITH(gatherhw::read_inventory(xml), "reading " + switches.hw_info_file);
    std::vector<std::string> problems;
    for (const auto& f : vmscript::check(read.inventory, switches, read.warnings)) {
        if (f.verdict == vmscript::Verdict::Error) problems.push_back(f.what + ": " + f.meaning);
        if (f.verdict == vmscript::Verdict::Warning && !context.json)
            std::cerr << "warning: " << f.what << ": " << f.meaning << " " << f.to_do << "\n";
    }
    if (!problems.empty()) return make_error(errors::kNotFit, "{}", join(problems, "; "));
    auto plan = TRY(vmscript::make_plan(read.inventory, switches));
    json::array nics, macs;
    for (const auto& nic : plan.nics) {
        nics.push_back({{"name", nic.name}, {"old_mac", nic.old_mac}, {"new_mac", nic.new_mac}});
        macs.emplace_back(nic.old_mac);
    }
    json::object body{{"name", plan.name},
                      {"source_macs", macs},
                      {"source_power_driver", a.power_driver},
                      {"source_power_command", json::array(a.power_command.begin(), a.power_command.end())},
                      {"image", a.image.empty() ? plan.name : a.image},
                      {"vm_definition", vmscript::render_definition(plan)},
                      {"vmhost", plan.vm_host},
                      {"network", plan.network},
                      {"target_controller", std::string(name_of(plan.controller))},
                      {"postdeployaction", static_cast<int>(plan.post_deploy)},
                      {"nics", nics},
                      {"disks", vmscript::disks_parameter(plan)},
                      {"exclude", vmscript::exclude_parameter(plan)},
                      {"nonetencrypt", a.nonetencrypt}};
    return start_job("/migrations", body, !a.no_wait, context);
}

}  // namespace

void add_migrate_command(CLI::App& root, Context& context) {
    auto a = std::make_shared<MigrateArguments>();
    auto* app = add_command(
        root, context, "migrate", "Move a machine into a VM: capture, create, deploy, repair, prove, as one job",
        "  slipway migrate --hwinfofile poseidon.xml --name poseidon --vmconfigpath /var/lib/slipway-agent/vm \\\n"
        "      --virtualdiskpath /srv/vm --hwdestvs hercules --power-driver command --power-command "
        "/usr/local/sbin/pdu\n"
        "All switches of `vmscript --hwgeneratep2v` are taken; see vmscript --help.\n");
    app->add_option("--power-driver", a->power_driver, "how the source is switched")
        ->check(CLI::IsMember({"prompt", "command"}))
        ->capture_default_str();
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
