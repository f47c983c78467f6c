// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway device …`
#include "console/commands.hpp"
#include "console/errors.hpp"
#include "console/rest_client.hpp"
#include "console/table.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;

struct AddArguments {
    std::string name, description, power_driver, kind = "device", vmhost, secure_boot;
    std::vector<std::string> macs, power_command;
    bool if_absent = false, update = false;
};

std::string macs_text(const json::value& device) {
    std::vector<std::string> out;
    for (const auto& mac : array_at(device, "macs"))
        out.emplace_back(mac.if_string() ? std::string(*mac.if_string()) : "");
    return join(out, " ");
}

std::string agent_text(const json::value& device) {
    const auto* agent = member(device, "agent");
    return agent ? text_at(*agent, "state") : "none";
}

std::string device_text(const json::value& d) {
    auto image = text_at(d, "pxe_image");
    std::string out = fmt::format("{}\n", text_at(d, "name"));
    auto line = [&](const char* name, const std::string& value) {
        if (!value.empty()) out += fmt::format("  {:<12}{}\n", name, printable(value));
    };
    line("description", text_at(d, "description"));
    line("kind", text_at(d, "kind"));
    line("state", text_at(d, "state"));
    line("agent", agent_text(d));
    line("MACs", macs_text(d));
    line("power", text_at(d, "power_driver"));
    line("PXE action", text_at(d, "pxe_action") + (text_at(d, "pxe_action") == "image" ? " " + image : ""));
    if (const auto* next = member(d, "next_boot"))
        line("next boot", text_at(*next, "action") + " (" + text_at(*next, "why") + ")");
    line("Secure Boot", text_at(d, "secure_boot"));
    if (auto loader = text_at(d, "loader"); loader != "auto") line("loader", loader);
    if (auto way = text_at(d, "local_boot"); way != "auto") line("local boot", way);
    if (const auto* may = member(d, "tftp_upload"); may && may->is_bool() && may->get_bool())
        line("TFTP upload", "to STATE/boot/uploads/" + text_at(d, "name"));
    for (const auto& alert : array_at(d, "alerts"))
        line("alert", text_at(alert, "time") + "  " + text_at(alert, "text"));
    return out;
}

bool not_found(const Error& error) { return error.name() == "server.no-device" || error.name().ends_with("not-found"); }
bool exists(const Error& error) { return error.name().find("exists") != std::string::npos; }

// The record of that name gets what was given; one of a VM stays a VM's, and one of a machine a machine's.
Result<json::value> update(RestClient& client, const AddArguments& a, const json::value& there) {
    const bool is_vm = text_at(there, "power_driver") == "vm";
    if (text_at(there, "kind") != a.kind || (!a.power_driver.empty() && is_vm != (a.power_driver == "vm")))
        return make_error(errors::kOtherMachine, "device '{}' is there already, {}", a.name,
                          is_vm ? "as a virtual machine" : "as another machine (" + text_at(there, "kind") + ")");
    json::object body{};
    if (!a.macs.empty()) body["macs"] = json::array(a.macs.begin(), a.macs.end());
    if (!a.description.empty()) body["description"] = a.description;
    if (!a.power_driver.empty()) {
        body["power_driver"] = a.power_driver;
        body["power_command"] = json::array(a.power_command.begin(), a.power_command.end());
    }
    if (!a.vmhost.empty()) body["vmhost"] = a.vmhost;
    // What its agent has said goes before what is not known.
    if (!a.secure_boot.empty() && a.secure_boot != "unknown") body["secure_boot"] = a.secure_boot;
    return client.patch("/devices/" + segment(a.name), body);
}

Result<ExitCode> add(const AddArguments& a, const Context& context) {
    auto client = TRY(RestClient::open());
    json::object body{{"name", a.name}, {"kind", a.kind}, {"macs", json::array(a.macs.begin(), a.macs.end())}};
    if (!a.description.empty()) body["description"] = a.description;
    if (!a.power_driver.empty()) body["power_driver"] = a.power_driver;
    if (!a.vmhost.empty()) body["vmhost"] = a.vmhost;
    if (!a.secure_boot.empty()) body["secure_boot"] = a.secure_boot;
    if (!a.power_command.empty()) body["power_command"] = json::array(a.power_command.begin(), a.power_command.end());
    auto device = client.post("/devices", body);
    if (!device && (a.if_absent || a.update) && exists(device.error())) {
        auto there = client.get("/devices/" + segment(a.name));
        if (!there) return std::move(device).error();  // another device has the MAC
        auto now = a.update ? TRY(update(client, a, *there)) : *there;
        context.print("device " + a.name + (a.update ? " is up to date\n" : " is there already\n"), now);
        return kExitDone;
    }
    context.print("device " + a.name + " added\n", TRY(std::move(device)));
    return kExitDone;
}

Result<ExitCode> list(const Context& context) {
    auto client = TRY(RestClient::open());
    auto devices = TRY(client.get("/devices"));
    Table table({"DEVICE", "KIND", "STATE", "AGENT", "MACS", "POWER"});
    for (const auto& d : array_at(devices, "items"))
        table.row({text_at(d, "name"), text_at(d, "kind"), text_at(d, "state"), agent_text(d), macs_text(d),
                   text_at(d, "power_driver")});
    context.print(table.text(), devices);
    return kExitDone;
}

Result<ExitCode> show(const std::string& name, const Context& context) {
    auto client = TRY(RestClient::open());
    auto device = TRY(client.get("/devices/" + segment(name)));
    auto text = device_text(device);
    if (auto ramdisk = client.get("/agent/ramdisks/" + segment(name))) {
        text += fmt::format("  ramdisk     {}\n", text_at(*ramdisk, "state")) + missing_drivers_text(*ramdisk);
        if (device.is_object()) device.get_object()["missing_drivers"] = array_at(*ramdisk, "missing");
    }
    context.print(text, device);
    return kExitDone;
}

struct SetArguments {
    std::string name, pxe_action, image, loader, local_boot, secure_boot, tftp_upload, description;
    bool has_description = false;
};

Result<ExitCode> set(const SetArguments& a, const Context& context) {
    json::object body;
    auto given = [&](const char* member, const std::string& value) {
        if (!value.empty()) body[member] = value;
    };
    given("pxe_action", !a.image.empty() && a.pxe_action.empty() ? "image" : a.pxe_action);
    given("pxe_image", a.image);
    given("loader", a.loader);
    given("local_boot", a.local_boot);
    given("secure_boot", a.secure_boot);
    if (!a.tftp_upload.empty()) body["tftp_upload"] = a.tftp_upload == "on";
    if (a.has_description) body["description"] = a.description;
    if (body.empty()) return make_error(errors::kUsage, "nothing to set is given");
    auto client = TRY(RestClient::open());
    auto device = TRY(client.patch("/devices/" + segment(a.name), body));
    context.print(device_text(device), device);
    return kExitDone;
}

void add_set_command(CLI::App& device, Context& context) {
    auto a = std::make_shared<SetArguments>();
    auto* app = add_command(device, context, "set", "Say what a device boots by network, and how",
                            "  slipway device set poseidon --pxe-action local-disk\n"
                            "  slipway device set poseidon --image dos.img\n"
                            "  slipway device set poseidon --secure-boot off --loader auto\n"
                            "  slipway device set switch7 --tftp-upload on\n");
    app->add_option("name", a->name, "the device")->required();
    app->add_option("--pxe-action", a->pxe_action, "without a job; default: as `slipway netboot settings` says")
        ->check(CLI::IsMember({"default", "boot-to-da", "image", "ignore", "local-disk"}));
    app->add_option("--image", a->image, "a floppy or ISO image of `slipway netboot images`, and the PXE action image");
    app->add_option("--loader", a->loader, "auto, ipxe, shim, or what lies under this name in STATE/boot/loaders");
    app->add_option("--local-boot", a->local_boot, "how it goes on to its disk")
        ->check(CLI::IsMember({"auto", "exit", "sanboot", "chainload"}));
    app->add_option("--secure-boot", a->secure_boot, "of its firmware; the agent corrects it")
        ->check(CLI::IsMember({"unknown", "on", "off"}));
    app->add_option("--tftp-upload", a->tftp_upload,
                    "under control, it may send files by TFTP; they are kept in the server's STATE/boot/uploads/NAME")
        ->check(CLI::IsMember({"on", "off"}));
    auto* text = app->add_option("--description", a->description, "for people");
    on_command(*app, context, [a, text, &context] {
        a->has_description = text->count() > 0;
        return set(*a, context);
    });
}

Result<ExitCode> remove(const std::string& name, bool if_exists, const Context& context) {
    auto client = TRY(RestClient::open());
    auto gone = client.remove("/devices/" + segment(name));
    if (!gone && !(if_exists && not_found(gone.error()))) return std::move(gone).error();
    context.print(fmt::format("device {} {}\n", name, gone ? "deleted" : "was not there"),
                  {{"device", name}, {"deleted", gone.ok()}});
    return kExitDone;
}

Result<ExitCode> control(const std::string& name, const char* verb, bool if_exists, const Context& context) {
    auto client = TRY(RestClient::open());
    auto device = client.post("/devices/" + segment(name) + "/" + verb, json::object());
    if (!device && if_exists && not_found(device.error())) {
        context.print("device " + name + " was not there\n", {{"device", name}});
        return kExitDone;
    }
    auto answer = TRY(std::move(device));
    context.print(fmt::format("device {}: {}\n", name, text_at(answer, "state")), answer);
    return kExitDone;
}

Result<ExitCode> enroll(const std::string& name, const std::string& directory, const Context& context) {
    auto client = TRY(RestClient::open());
    auto answer = TRY(client.post("/devices/" + segment(name) + "/enrollment-token", json::object()));
    if (!directory.empty()) {
        std::error_code failed;
        std::filesystem::create_directories(directory, failed);
        TRY(write_file_atomic(std::filesystem::path(directory) / "token", as_bytes(text_at(answer, "token") + "\n"),
                              0600));
        TRY(write_file_atomic(std::filesystem::path(directory) / "ca.pem", as_bytes(text_at(answer, "ca_pem")), 0644));
        context.print("token and CA are in " + directory + "; the token works once\n", {{"directory", directory}});
        return kExitDone;
    }
    context.print("token " + text_at(answer, "token") + "\n", answer);
    return kExitDone;
}

}  // namespace

void add_device_commands(CLI::App& root, Context& context) {
    auto* device = root.add_subcommand("device", "Devices: the machines the controller knows");
    device->require_subcommand(1);
    auto a = std::make_shared<AddArguments>();
    auto* add_app = add_command(*device, context, "add", "Make a device record",
                                "  slipway device add poseidon --mac 52:54:00:51:00:01\n"
                                "  slipway device add rack3 --mac … --power-driver command --power-command "
                                "/usr/local/sbin/pdu --power-command 3\n");
    add_app->add_option("name", a->name, "its name")->required();
    add_app->add_option("--mac", a->macs, "MAC address; repeat for several adapters");
    add_app->add_option("--description", a->description, "for people");
    add_app->add_option("--kind", a->kind, "device, or vmhost for a VMM host")
        ->check(CLI::IsMember({"device", "vmhost"}))
        ->capture_default_str();
    add_app->add_option("--power-driver", a->power_driver, "how it is switched")
        ->check(CLI::IsMember({"prompt", "command", "vm"}));
    add_app->add_option("--power-command", a->power_command,
                        "program and its arguments, one word each; on, off, cycle or status is added");
    add_app->add_option("--vmhost", a->vmhost, "with --power-driver vm: the host that runs it");
    add_app->add_option("--secure-boot", a->secure_boot, "of its firmware; the agent corrects it")
        ->check(CLI::IsMember({"unknown", "on", "off"}));
    auto* if_absent = add_app->add_flag("--if-absent", a->if_absent, "no error when it is there already");
    add_app->add_flag("--update", a->update, "when it is there already, give it these values")->excludes(if_absent);
    on_command(*add_app, context, [a, &context] { return add(*a, context); });

    add_set_command(*device, context);
    auto* list_app = add_command(*device, context, "list", "All devices");
    on_command(*list_app, context, [&context] { return list(context); });

    auto name = std::make_shared<std::string>(), directory = std::make_shared<std::string>();
    auto lenient = std::make_shared<bool>(false);
    auto named = [&](const char* word, const char* what, std::function<Result<ExitCode>()> work,
                     bool if_exists = false) {
        auto* app = add_command(*device, context, word, what);
        app->add_option("name", *name, "the device")->required();
        if (if_exists) app->add_flag("--if-exists", *lenient, "no error when it is not there");
        on_command(*app, context, std::move(work));
        return app;
    };
    named("show", "One device", [=, &context] { return show(*name, context); });
    named(
        "delete", "Forget a device", [=, &context] { return remove(*name, *lenient, context); }, true);
    named("take-control", "Boot it into the agent from now on when a job wants it",
          [=, &context] { return control(*name, "take-control", false, context); });
    named(
        "release-control", "Leave its boot alone from now on",
        [=, &context] { return control(*name, "release-control", *lenient, context); }, true);
    named("enroll", "Get a one-time token for an administration agent", [=, &context] {
        return enroll(*name, *directory, context);
    })->add_option("--directory", *directory, "write token and ca.pem there");
}

}  // namespace slipway::console
