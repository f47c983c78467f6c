// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway job …` and `slipway sequence …`
#include <unistd.h>
#include <algorithm>
#include <iostream>

#include "console/commands.hpp"
#include "console/errors.hpp"
#include "console/job_view.hpp"
#include "console/table.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;

struct RunArguments {
    std::string sequence, name, group;
    std::vector<std::string> devices, variables;
    unsigned max_parallel = 0;
    bool wait = false;
};

Result<json::object> variables_of(const std::vector<std::string>& texts) {
    json::object out;
    for (const auto& text : texts) {
        auto equals = text.find('=');
        if (equals == std::string::npos || equals == 0)
            return make_error(errors::kUsage, "'{}' is not NAME=VALUE", text);
        auto value = text.substr(equals + 1);
        // NAME=@FILE takes the file's text, as curl does.
        if (value.starts_with("@")) value = TRY(read_text_file(value.substr(1), 4u << 20));
        out[text.substr(0, equals)] = value;
    }
    return out;
}

Result<ExitCode> run(const RunArguments& a, const Context& context) {
    json::object body{{"variables", TRY(variables_of(a.variables))}};
    // A file when there is one, else the name of a sequence that the server has.
    std::error_code ignored;
    if (std::filesystem::exists(a.sequence, ignored)) body["sequence_xml"] = TRY(read_text_file(a.sequence, 4u << 20));
    else body["sequence"] = a.sequence;
    if (!a.name.empty()) body["name"] = a.name;
    if (!a.group.empty()) body["group"] = a.group;
    body["devices"] = json::array(a.devices.begin(), a.devices.end());
    if (a.max_parallel) body["max_parallel"] = a.max_parallel;
    return start_job("/jobs", body, a.wait, context);
}

Result<ExitCode> list(const std::string& state, const Context& context) {
    auto client = TRY(RestClient::open());
    auto jobs = TRY(client.get("/jobs" + (state.empty() ? std::string() : "?state=" + segment(state))));
    Table table({"JOB", "NAME", "DEVICE", "STATE", "STARTED", "ENDED"});
    for (const auto& job : array_at(jobs, "items"))
        table.row({text_at(job, "id").empty() ? std::to_string(number_at(job, "id")) : text_at(job, "id"),
                   text_at(job, "name"), text_at(job, "device"), text_at(job, "state"), text_at(job, "started"),
                   text_at(job, "ended")});
    context.print(table.text(), jobs);
    return kExitDone;
}

Result<ExitCode> show(const std::string& id, bool log, const Context& context) {
    auto client = TRY(RestClient::open());
    auto job = TRY(client.get("/jobs/" + segment(id)));
    auto text = job_text(job);
    if (log)
        for (const auto& line : array_at(job, "log"))
            text +=
                text_at(line, "time") + "  " + text_at(line, "level") + "  " + printable(text_at(line, "text")) + "\n";
    context.print(text, job);
    return kExitDone;
}

Result<ExitCode> wait(const std::string& id, const Context& context) {
    auto client = TRY(RestClient::open());
    auto job = TRY(follow_job(client, id, context));
    context.print(job_text(job), job);
    return exit_of(job);
}

Result<ExitCode> act(const std::string& id, const char* verb, const Context& context) {
    auto client = TRY(RestClient::open());
    auto job = TRY(client.post("/jobs/" + segment(id) + "/" + verb, json::object()));
    context.print(fmt::format("job {}: {}\n", id, text_at(job, "state")), job);
    return kExitDone;
}

// Everything unfinished that works on a device or VM. A child ends with its parent, so what has ended meanwhile is
// fine.
Result<ExitCode> cancel_all(const std::string& machine, const Context& context) {
    auto client = TRY(RestClient::open());
    std::vector<std::uint64_t> ids;
    for (const char* state : {"running", "queued"}) {
        auto jobs = TRY(client.get("/jobs?machine=" + segment(machine) + "&state=" + state));
        for (const auto& job : array_at(jobs, "items")) ids.push_back(number_at(job, "id"));
    }
    std::sort(ids.begin(), ids.end());  // parents first
    json::array cancelled;
    std::string text;
    for (auto id : ids) {
        auto job = client.post(fmt::format("/jobs/{}/cancel", id), json::object());
        if (!job && job.error().name() == "server.job-state") continue;
        TRY(std::move(job));
        cancelled.push_back(id);
        text += fmt::format("job {}: cancelled\n", id);
    }
    if (text.empty()) text = "no job works on " + machine + "\n";
    context.print(text, {{"cancelled", std::move(cancelled)}});
    return kExitDone;
}

Result<ExitCode> cancel(const std::string& id, const std::string& machine, const Context& context) {
    if (id.empty() == machine.empty()) return make_error(errors::kUsage, "give a job's number or --machine");
    return machine.empty() ? act(id, "cancel", context) : cancel_all(machine, context);
}

Result<ExitCode> fetch_artifact(const std::string& id, const std::string& name, const std::string& output) {
    auto client = TRY(RestClient::open());
    auto bytes = TRY(client.bytes("/jobs/" + segment(id) + "/artifacts/" + segment(name)));
    if (output == "-") {
        std::cout.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
        return kExitDone;
    }
    TRY(write_file_atomic(output.empty() ? name : output, as_bytes(bytes)));
    return kExitDone;
}

Result<ExitCode> list_sequences(const Context& context) {
    auto client = TRY(RestClient::open());
    auto items = TRY(client.get("/sequences"));
    Table table({"SEQUENCE", "WHAT IT DOES"});
    for (const auto& s : array_at(items, "items")) table.row({text_at(s, "name"), text_at(s, "description")});
    context.print(table.text(), items);
    return kExitDone;
}

Result<ExitCode> show_sequence(const std::string& name) {
    auto client = TRY(RestClient::open());
    std::cout << TRY(client.bytes("/sequences/" + segment(name)));
    return kExitDone;
}

}  // namespace

void add_job_commands(CLI::App& root, Context& context) {
    auto* job = root.add_subcommand("job", "Jobs: run, follow, look back");
    job->require_subcommand(1);
    auto a = std::make_shared<RunArguments>();
    auto* run_app =
        add_command(*job, context, "run", "Run a task sequence on devices",
                    "  slipway job run --sequence da-capture-image --device poseidon --variable image=poseidon --wait\n"
                    "  slipway job run --sequence deploy-template --group web --variable image=web --variable "
                    "personality=@forty.json --wait\n"
                    "  slipway job run --sequence ./web.xml --group web --name monday --max-parallel 10\n");
    run_app->add_option("--sequence", a->sequence, "a file, or the name of one of the server's (slipway sequence list)")
        ->required();
    run_app->add_option("--device", a->devices, "repeat for several");
    run_app->add_option("--group", a->group, "a device group");
    run_app
        ->add_option("--max-parallel", a->max_parallel,
                     "of a group, so many machines at a time; the others wait for one to end, or to fall silent")
        ->check(CLI::Range(1, 1'000'000));
    run_app->add_option("--name", a->name, "for people");
    run_app->add_option("--variable", a->variables, "NAME=VALUE, or NAME=@FILE; repeat for several");
    run_app->add_flag("--wait", a->wait, "follow it; the exit code is the job's");
    on_command(*run_app, context, [a, &context] { return run(*a, context); });

    auto id = std::make_shared<std::string>(), state = std::make_shared<std::string>(),
         name = std::make_shared<std::string>(), output = std::make_shared<std::string>();
    auto log = std::make_shared<bool>(false);
    auto* list_app = add_command(*job, context, "list", "All jobs, newest first");
    list_app->add_option("--state", *state, "only these")
        ->check(CLI::IsMember({"queued", "running", "done", "failed", "cancelled"}));
    on_command(*list_app, context, [=, &context] { return list(*state, context); });
    auto one = [&](const char* word, const char* what, std::function<Result<ExitCode>()> work) {
        auto* app = add_command(*job, context, word, what);
        app->add_option("id", *id, "the job's number")->required();
        on_command(*app, context, std::move(work));
        return app;
    };
    one("show", "One job: steps, times, proof", [=, &context] {
        return show(*id, *log, context);
    })->add_flag("--log", *log, "with its log");
    one("wait", "Follow a job until it ends; the exit code is the job's", [=, &context] { return wait(*id, context); });
    auto machine = std::make_shared<std::string>();
    auto* cancel_app = add_command(*job, context, "cancel", "Stop a job, or all that work on a machine",
                                   "  slipway job cancel 7\n"
                                   "  slipway job cancel --machine poseidon\n");
    cancel_app->add_option("id", *id, "the job's number");
    cancel_app->add_option("--machine", *machine, "a device or VM: every unfinished job that works on it");
    on_command(*cancel_app, context, [=, &context] { return cancel(*id, *machine, context); });
    one("resume",
        "Go on with a failed job at the step that failed; of a group, with the machines that failed and no others",
        [=, &context] { return act(*id, "resume", context); });
    auto* get = one("artifact", "Fetch what a job kept, such as screenshot.png",
                    [=] { return fetch_artifact(*id, *name, *output); });
    get->add_option("name", *name, "see `slipway job show`")->required();
    get->add_option("--output", *output, "file, or - for standard output");

    auto* sequence = root.add_subcommand("sequence", "Task sequences the server knows");
    sequence->require_subcommand(1);
    on_command(*add_command(*sequence, context, "list", "Their names"), context,
               [&context] { return list_sequences(context); });
    auto* show_app = add_command(*sequence, context, "show", "One as XML");
    show_app->add_option("name", *name, "of the sequence")->required();
    on_command(*show_app, context, [=] { return show_sequence(*name); });
    add_throttle_command(*job, context);
}

}  // namespace slipway::console
