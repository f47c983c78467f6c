// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway netboot settings|images`: what network boot answers, for all devices.
#include "console/commands.hpp"
#include "console/errors.hpp"
#include "console/rest_client.hpp"
#include "console/table.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;

struct SetArguments {
    std::string unknown, default_job, description, action;
    std::vector<std::string> variables;
    bool has_description = false, has_variables = false;
};

std::string settings_text(const json::value& s) {
    auto text = fmt::format("unknown machines  {}\n", text_at(s, "unknown"));
    if (auto d = text_at(s, "description"); !d.empty()) text += fmt::format("  description     {}\n", printable(d));
    if (auto job = text_at(s, "default_job"); !job.empty()) text += fmt::format("  default job     {}\n", job);
    if (const auto* variables = member(s, "variables"); variables && variables->is_object())
        for (const auto& item : variables->get_object())
            text += fmt::format("  {}={}\n", std::string(item.key()),
                                printable(text_at(*variables, std::string(item.key()))));
    text += fmt::format("without a job     {}\n", text_at(s, "action"));
    if (auto warning = text_at(s, "warning"); !warning.empty()) text += "warning: " + warning + "\n";
    return text;
}

Result<ExitCode> show(const Context& context) {
    auto client = TRY(RestClient::open());
    auto settings = TRY(client.get("/netboot/settings"));
    context.print(settings_text(settings), settings);
    return kExitDone;
}

Result<ExitCode> set(const SetArguments& a, const Context& context) {
    json::object body;
    auto given = [&](const char* name, const std::string& value) {
        if (!value.empty()) body[name] = value;
    };
    given("unknown", a.unknown);
    given("default_job", a.default_job);
    given("action", a.action);
    if (a.has_description) body["description"] = a.description;
    if (a.has_variables) {
        json::object variables;
        for (const auto& text : a.variables) {
            auto equals = text.find('=');
            if (text.empty()) continue;
            if (equals == std::string::npos || equals == 0)
                return make_error(errors::kUsage, "'{}' is not NAME=VALUE", printable(text));
            variables[text.substr(0, equals)] = text.substr(equals + 1);
        }
        body["variables"] = std::move(variables);
    }
    if (body.empty()) return make_error(errors::kUsage, "nothing to set is given");
    auto client = TRY(RestClient::open());
    auto settings = TRY(client.patch("/netboot/settings", body));
    context.print(settings_text(settings), settings);
    return text_at(settings, "warning").empty() ? kExitDone : kExitWarnings;
}

Result<ExitCode> images(const Context& context) {
    auto client = TRY(RestClient::open());
    auto list = TRY(client.get("/netboot/images"));
    Table table({"IMAGE", "KIND", "SIZE"});
    bool bad = false;
    for (const auto& i : array_at(list, "items")) {
        auto error = text_at(i, "error");
        bad |= !error.empty();
        table.row({text_at(i, "name"), error.empty() ? text_at(i, "kind") : error,
                   error.empty() ? human_bytes(number_at(i, "size")) : ""});
    }
    context.print(table.text(), list);
    return bad ? kExitWarnings : kExitDone;
}

void add_set(CLI::App& settings, Context& context) {
    auto a = std::make_shared<SetArguments>();
    auto* app = add_command(
        settings, context, "set", "Change them",
        "  slipway netboot settings set --unknown add --description 'found by network boot'\n"
        "  slipway netboot settings set --unknown control --default-job da-deploy-image --default-variable image=web\n"
        "With `control` every machine without a record that boots by network is taken under control and given the "
        "default\n"
        "job, unasked: a job that writes to disks erases what such a machine holds. Exit code 3 reminds of it.\n");
    app->add_option("--unknown", a->unknown,
                    "a machine without a record: silence; a record; a record, control and the default job, which "
                    "--default-job has to name (now or before)")
        ->check(CLI::IsMember({"ignore", "add", "control"}));
    app->add_option("--default-job", a->default_job, "the sequence that a machine taken under control gets");
    auto* variables =
        app->add_option("--default-variable", a->variables,
                        "NAME=VALUE of that job, in place of those before; repeat for several, \"\" for none");
    auto* description = app->add_option("--description", a->description, "of the records made");
    app->add_option(
           "--global-action", a->action,
           "the global job template: what a device under control boots that has neither a job nor a PXE action of "
           "its own")
        ->check(CLI::IsMember({"boot-to-da", "local-disk", "ignore"}));
    on_command(*app, context, [a, variables, description, &context] {
        a->has_variables = variables->count() > 0;
        a->has_description = description->count() > 0;
        return set(*a, context);
    });
}

}  // namespace

void add_netboot_settings(CLI::App& netboot, Context& context) {
    auto* settings = netboot.add_subcommand("settings", "What is answered where a device's own record says nothing");
    settings->require_subcommand(1);
    on_command(*add_command(*settings, context, "show", "Show them"), context, [&context] { return show(context); });
    add_set(*settings, context);
    on_command(*add_command(netboot, context, "images", "Floppy and ISO images in STATE/boot/images",
                            "  cp dos.img /var/lib/slipway/boot/images/ && slipway netboot images\n"),
               context, [&context] { return images(context); });
}

}  // namespace slipway::console
