// SPDX-License-Identifier: GPL-3.0-or-later
// The three task sequences of a migration.
#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "sequences/model.hpp"
#include "vmscript/render.hpp"

namespace slipway::vmscript {

namespace {

using sequences::Sequence;
using sequences::Variable;

// Values are data of another machine: a ${ in them is no variable.
std::string plain(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text.substr(i).starts_with("${")) out += '$';
        out += text[i];
    }
    return out;
}

Variable variable(std::string name, const std::string& value, std::string description) {
    return {std::move(name), plain(value), std::move(description)};
}

void add_repair(const Plan& plan, Sequence& s) {
    s.variables.push_back(
        variable("target-controller", std::string(name_of(plan.controller)), "The controller the system boots on"));
    s.variables.push_back(variable("nics", nics_parameter(plan), "Adapters: 'name=old MAC=new MAC', separated by ';'"));
    s.variables.push_back({"nonce", std::nullopt, "What the boot proof says; new for every run"});
    sequences::Values parameters{{"target-controller", "${target-controller}"},
                                 {"firmware", plan.uefi ? "uefi" : "bios"},
                                 {"nics", "${nics}"},
                                 {"proof-nonce", "${nonce}"}};
    if (!plan.service_driver_state.empty()) {
        s.variables.push_back(variable("service-driver-file", plan.service_driver_state, "--servicedriverstate"));
        parameters["service-driver-file"] = "${service-driver-file}";
    }
    if (!plan.patch_directory.empty()) {
        s.variables.push_back(variable("patch-directory", plan.patch_directory,
                                       "--hwpatchdir: the patch library, in the agent's ramdisk"));
        parameters["patch-directory"] = "${patch-directory}";
    }
    if (!plan.driver_directories.empty()) {
        s.variables.push_back(variable("driver-directories", join(plan.driver_directories, ";"),
                                       "--hwdriverdir: drop-in drivers, in the agent's ramdisk"));
        parameters["driver-directories"] = "${driver-directories}";
    }
    if (plan.fix_hal) {
        s.variables.push_back(variable("fix-hal", std::string(patches::name_of(*plan.fix_hal)), "--fixhal"));
        s.variables.push_back(variable("processors", std::to_string(plan.processors), "Of the virtual machine"));
        parameters["fix-hal"] = "${fix-hal}";
        parameters["processors"] = "${processors}";
    }
    s.add("repair", std::move(parameters)).id = "repair";
}

Sequence capture(const Plan& plan) {
    Sequence s;
    s.name = plan.name + "_captureDisk";
    s.description =
        fmt::format("Boots {} into the Deployment Agent, captures its disks read-only, shuts it down.", plan.name);
    s.variables = {variable("image", plan.image, "Name of the image; an existing one gets a new version"),
                   variable("disks", disks_parameter(plan), "Disks to capture, separated by ';'"),
                   variable("exclude", exclude_parameter(plan), "Volumes to leave out, separated by ';'"),
                   variable("nonetencrypt", "false", "true: bulk data in the clear, still verified by hash")};
    s.add("take-control").id = "control";
    s.add("boot-to-da").id = "boot";
    auto& inventory = s.add("inventory");
    inventory.id = "inventory";
    inventory.on_error = sequences::OnError::Continue;
    auto& task = s.add(
        "capture-image",
        {{"image", "${image}"}, {"disks", "${disks}"}, {"exclude", "${exclude}"}, {"nonetencrypt", "${nonetencrypt}"}});
    task.id = "capture";
    task.retry = 3;
    s.add("shutdown").id = "shutdown";
    s.add("wait-off").id = "off";
    return s;
}

// Ends in the agent: the post-deploy action is a setting of the scripts, which go on from there.
Sequence deploy(const Plan& plan) {
    Sequence s;
    s.name = plan.name + "_DeployVM";
    s.description = fmt::format("Lays the image of {} down on its virtual machine and repairs the system.", plan.name);
    s.variables = {variable("image", plan.image, "NAME or NAME@VERSION"), variable("nonetencrypt", "false", "")};
    s.add("take-control").id = "control";
    s.add("boot-to-da").id = "boot";
    auto& task = s.add("deploy-image", {{"image", "${image}"}, {"nonetencrypt", "${nonetencrypt}"}});
    task.id = "deploy";
    task.retry = 3;
    add_repair(plan, s);
    return s;
}

Sequence service_driver(const Plan& plan) {
    Sequence s;
    s.name = plan.name + "_ServiceDriver";
    s.description =
        fmt::format("Repairs {} again, services and drivers included, without laying it down again.", plan.name);
    s.add("take-control").id = "control";
    s.add("boot-to-da").id = "boot";
    add_repair(plan, s);
    return s;
}

}  // namespace

std::vector<GeneratedFile> render_sequences(const Plan& plan) {
    return {{plan.name + "_captureDisk.xml", sequences::render_sequence(capture(plan))},
            {plan.name + "_DeployVM.xml", sequences::render_sequence(deploy(plan))},
            {plan.name + "_ServiceDriver.xml", sequences::render_sequence(service_driver(plan))}};
}

}  // namespace slipway::vmscript
