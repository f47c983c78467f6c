// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway vm …` and `slipway network …`: each is a job of one task for the VM host's administration agent.
#include <algorithm>

#include "console/commands.hpp"
#include "console/errors.hpp"
#include "console/job_view.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/xml_writer.hpp"
#include "vmm-target/definition.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;
using Parameters = std::vector<std::pair<std::string, std::string>>;

// Values go in as variables of the job, so that nothing in them is taken for ${…}; `what` is the VM or network, by
// which the job is found again.
Result<ExitCode> one_task(const std::string& type, const std::string& what, const std::string& host,
                          const Parameters& parameters, const Context& context) {
    json::object variables{{"vmhost", host}};
    if (type != "create-network") variables["vm"] = what;
    XmlWriter xml;
    xml.open("sequence").attribute("xmlns", "urn:slipway:sequence:1").attribute("name", type);
    xml.open("variables");
    xml.open("variable").attribute("name", "vmhost").close();
    const bool names_vm =
        std::any_of(parameters.begin(), parameters.end(), [](const auto& p) { return p.first == "vm"; });
    if (variables.contains("vm") && !names_vm) xml.open("variable").attribute("name", "vm").close();
    for (const auto& [name, value] : parameters) {
        xml.open("variable").attribute("name", name).close();
        variables[name] = value;
    }
    xml.close().open("tasks").open("task").attribute("id", "task").attribute("type", type);
    xml.open("parameter").attribute("name", "vmhost").text("${vmhost}").close();
    for (const auto& [name, value] : parameters)
        xml.open("parameter").attribute("name", name).text("${" + name + "}").close();
    xml.close().close().close();
    json::object body{{"name", type + " " + what.substr(0, 64)},
                      {"sequence_xml", std::move(xml).take()},
                      {"variables", variables},
                      {"devices", json::array()}};
    return start_job("/jobs", body, true, context);
}

struct VmArguments {
    std::string name, host, definition, network, interface, boot = "disk";
    std::vector<std::string> macs;
    unsigned grace = 60;
    bool undo = false, lenient = false;
};

// The file's machine, with another name, network or addresses where they are given.
Result<vmm::VmDefinition> definition_of(const VmArguments& a) {
    auto vm = TRY(vmm::parse_definition(TRY(read_text_file(a.definition, 1u << 20)))).definition;
    if (!a.macs.empty() && a.macs.size() != vm.adapters.size())
        return make_error(errors::kUsage, "{} has {} adapters, --mac is given {} times", a.definition,
                          vm.adapters.size(), a.macs.size());
    if (!a.name.empty()) vm.name = a.name;
    for (std::size_t i = 0; i < a.macs.size(); ++i) {
        auto mac = MacAddress::parse(a.macs[i]);
        if (!mac) return make_error(errors::kUsage, "'{}' is not a MAC address", a.macs[i]);
        vm.adapters[i].mac = *mac;
    }
    for (auto& adapter : vm.adapters)
        if (!a.network.empty() && !adapter.network.empty()) adapter.network = a.network;
    TRY(vmm::check(vm));
    return vm;
}

Result<ExitCode> by_definition(const char* type, const VmArguments& a, Parameters more, const Context& context) {
    auto vm = TRY(definition_of(a));
    more.push_back({"definition", vmm::render_definition(vm)});
    return one_task(type, vm.name, a.host, more, context);
}

Result<ExitCode> delete_vm(const VmArguments& a, const Context& context) {
    Parameters parameters{{"vm", a.name}};
    if (!a.definition.empty()) {
        parameters.push_back({"definition", TRY(read_text_file(a.definition, 1u << 20))});
        parameters.push_back({"if_other", a.lenient ? "done" : "fail"});
    }
    return one_task("delete-vm", a.name, a.host, parameters, context);
}

}  // namespace

void add_vm_commands(CLI::App& root, Context& context) {
    auto a = std::make_shared<VmArguments>();
    auto* vm = root.add_subcommand("vm", "Virtual machines on VM hosts");
    vm->require_subcommand(1);
    auto with_host = [a](CLI::App* app) {
        app->add_option("--host", a->host, "the VM host's device name; not needed when there is only one");
        return app;
    };
    auto* create = with_host(
        add_command(*vm, context, "create", "Make a VM and its virtual disks",
                    "  slipway vm create --definition p2v/poseidon/poseidon_internalState.xml --host "
                    "hercules\n"
                    "A whole disk of the host as a disk of the VM, in the definition:\n"
                    "  <disk kind=\"linked\" path=\"/dev/disk/by-id/ID\" size-bytes=\"BYTES\" create=\"false\"/>\n"));
    on_command(*create, context, [a, &context] { return by_definition("create-vm", *a, {}, context); });
    auto* check = with_host(
        add_command(*vm, context, "check", "Say whether a VM could be made: memory, disk, name. Makes nothing",
                    "  slipway vm check --definition p2v/poseidon/poseidon_internalState.xml --host hercules\n"));
    on_command(*check, context, [a, &context] {
        return by_definition("check-vmhost", *a, {{"if_exists", "fail"}}, context);
    });
    for (auto* app : {create, check}) {
        app->add_option("--definition", a->definition, "VM definition file (urn:slipway:vm:1)")->required();
        app->add_option("--name", a->name, "name of the VM, instead of the definition's");
        app->add_option("--network", a->network, "virtual network, instead of the definition's");
        app->add_option("--mac", a->macs, "address, instead of the definition's; once for each adapter");
    }
    auto named = [&](const char* word, const char* type, const char* what, std::function<Parameters()> more = {}) {
        auto* app = with_host(add_command(*vm, context, word, what));
        app->add_option("name", a->name, "the VM")->required();
        on_command(*app, context, [a, type = std::string(type), more, &context] {
            Parameters parameters{{"vm", a->name}};
            if (more)
                for (auto& p : more()) parameters.push_back(p);
            return one_task(type, a->name, a->host, parameters, context);
        });
        return app;
    };
    // Deleting and stopping what is not there is done already, so the flag alone only says what always holds.
    auto* remove = with_host(add_command(*vm, context, "delete", "Stop a VM and remove it with its disks"));
    remove->add_option("name", a->name, "the VM")->required();
    remove->add_option("--definition", a->definition, "only the VM that was made of this file (known by its UUID)");
    remove->add_flag("--if-exists", a->lenient, "no error when it, or the one of the definition, is not there");
    on_command(*remove, context, [a, &context] { return delete_vm(*a, context); });
    named("stop", "stop-vm", "Turn a VM off: asks the guest, then takes the power",
          [a] {
              return Parameters{{"grace", std::to_string(a->grace)}};
          })
        ->add_option("--grace", a->grace, "seconds the guest gets to shut down")
        ->capture_default_str();
    auto* start = named("start", "start-vm", "Turn a VM on", [a] {
        return Parameters{{"boot", a->boot}, {"undo", a->undo ? "true" : "false"}};
    });
    start->add_option("--boot", a->boot, "from the network or the disk")
        ->check(CLI::IsMember({"network", "disk"}))
        ->capture_default_str();
    start->add_flag("--undo", a->undo, "write to an undo disk, to be kept or discarded later");

    auto* network = root.add_subcommand("network", "Virtual networks on VM hosts");
    network->require_subcommand(1);
    auto* make = with_host(add_command(*network, context, "create", "Make a virtual network",
                                       "  slipway network create VM0 --host hercules --interface br0\n"));
    make->add_option("name", a->name, "such as VM0")->required();
    make->add_option("--interface", a->interface, "a bridge to use, or a network card to put behind a new one");
    make->add_flag("--if-absent", a->lenient, "no error when it is there already");
    on_command(*make, context, [a, &context] {
        Parameters parameters{{"network", a->name}};
        if (!a->interface.empty()) parameters.push_back({"interface", a->interface});
        return one_task("create-network", a->name, a->host, parameters, context);
    });
}

}  // namespace slipway::console
