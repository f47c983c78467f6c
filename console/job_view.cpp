// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/job_view.hpp"

#include <iostream>
#include <thread>

#include "console/errors.hpp"
#include "console/job_progress.hpp"
#include "console/table.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace json = boost::json;

namespace {

std::string id_of(const json::value& job) {
    auto text = text_at(job, "id");
    return text.empty() ? std::to_string(number_at(job, "id")) : text;
}

std::string step_note(const json::value& step) {
    if (const auto* error = member(step, "error"); error && error->is_object())
        return text_at(*error, "message") + " [" + text_at(*error, "name") + "]";
    if (auto progress = progress_text(step); !progress.empty()) return progress;
    const auto* result = member(step, "result");
    return result && result->is_object() ? text_at(*result, "summary") : std::string();
}

std::string what_of(const json::value& step) {
    const auto image = text_at(step, "image");
    return image.empty() ? text_at(step, "type") : text_at(step, "type") + " of " + image;
}

void add_steps(const json::value& job, Table& table, const std::string& prefix) {
    for (const auto& step : array_at(job, "steps"))
        table.row({prefix + std::to_string(number_at(step, "index") + 1), what_of(step), text_at(step, "state"),
                   std::to_string(number_at(step, "attempt")), text_at(step, "started"), text_at(step, "ended"),
                   step_note(step)});
    for (const auto& child : array_at(job, "children")) add_steps(child, table, id_of(child) + "/");
}

// whose: "web1: " of a group's machine
std::string failures(const json::value& job, const std::string& whose = {}) {
    std::string out;
    for (const auto& step : array_at(job, "steps"))
        if (const auto* error = member(step, "error"); error && error->is_object())
            out +=
                fmt::format("{}error in step {} ({}): {} [{}]\n  what to do: {}\n", whose, number_at(step, "index") + 1,
                            text_at(step, "type"), printable(text_at(*error, "message")), text_at(*error, "name"),
                            printable(text_at(*error, "next_step")));
    for (const auto& child : array_at(job, "children")) {
        const auto device = text_at(child, "device");
        out += failures(child, device.empty() ? whose : printable(device) + ": ");
    }
    return out;
}

bool ended(const json::value& job) {
    auto state = text_at(job, "state");
    return state == "done" || state == "failed" || state == "cancelled";
}

bool any_losses(const json::value& job) {
    for (const auto& step : array_at(job, "steps"))
        if (const auto* result = member(step, "result"); result && number_at(*result, "losses") > 0) return true;
    for (const auto& child : array_at(job, "children"))
        if (any_losses(child)) return true;
    return false;
}

// One progress line, of a group one a machine; what a piece of work came to stays standing.
class Follower {
public:
    explicit Follower(const Context& context) : context_(context), group_(context.clock) {}
    void show(const json::value& answer) {
        const auto* job = member(answer, "job");
        for (const auto& event : array_at(answer, "items")) {
            after_ = std::max(after_, number_at(event, "id"));
            if (context_.json) continue;
            group_.make_way();
            std::cerr << text_at(event, "time") << "  " << (job ? whose(*job, number_at(event, "job")) : "")
                      << printable(text_at(event, "text")) << "\n";
        }
        if (auto lines = job && !context_.json ? group_lines(*job) : std::vector<std::string>(); !lines.empty())
            return group_.update(std::move(lines));
        auto line = job && !context_.json ? one_line(*job) : std::string();
        // "deploy-image  deploying", without the figures.
        auto what = line.substr(0, line.find_first_of("0123456789"));
        if (what != what_) end_line();
        what_ = std::move(what);
        if (line.empty()) return;
        group_.update({std::move(line)});
    }
    void end_line() { group_.finish(); }
    std::uint64_t after() const { return after_; }

private:
    // "web1: " of what a machine of a group says.
    static std::string whose(const json::value& job, std::uint64_t id) {
        for (const auto& child : array_at(job, "children"))
            if (number_at(child, "id") == id && !text_at(child, "device").empty())
                return printable(text_at(child, "device")) + ": ";
        return "";
    }
    const Context& context_;
    GroupPrinter group_;
    std::string what_;
    std::uint64_t after_ = 0;
};

}  // namespace

std::string job_text(const json::value& job) {
    auto out = fmt::format("job {}  {}  {}\n", id_of(job), printable(text_at(job, "name")), text_at(job, "state"));
    if (auto device = text_at(job, "device"); !device.empty()) out += "  device   " + device + "\n";
    out += fmt::format("  created  {}\n  started  {}\n  ended    {}\n", text_at(job, "created"),
                       text_at(job, "started"), text_at(job, "ended"));
    Table steps({"STEP", "TASK", "STATE", "ATTEMPT", "STARTED", "ENDED", ""});
    add_steps(job, steps, "");
    if (!steps.empty()) out += steps.text();
    for (const auto& line : group_lines(job)) out += line + "\n";
    if (const auto* proof = member(job, "proof"); proof && proof->is_object())
        out += fmt::format("proof: {} ({:.0f} s after the start), screenshot {}\n", printable(text_at(*proof, "line")),
                           real_at(*proof, "seconds"), printable(text_at(*proof, "screenshot")));
    std::vector<std::string> names;
    for (const auto& name : array_at(job, "artifacts"))
        if (name.is_string()) names.emplace_back(printable(name.get_string()));
    if (!names.empty()) out += "artifacts: " + join(names, " ") + "\n";
    return out + failures(job);
}

ExitCode exit_of(const json::value& job) {
    if (text_at(job, "state") != "done") return kExitFailed;
    return any_losses(job) ? kExitLosses : kExitDone;
}

Result<json::value> follow_job(RestClient& client, const std::string& id, const Context& context) {
    Follower follower(context);
    auto pause = std::chrono::milliseconds(250);
    while (!cancel_flag()) {
        auto answer = client.get(fmt::format("/jobs/{}/events?after={}&wait=5", segment(id), follower.after()));
        if (!answer) {
            if (!answer.error().temporary()) return std::move(answer).error();
            // The server is away: the job lives in its database, so ask again, ever more slowly.
            std::this_thread::sleep_for(pause);
            pause = std::min(pause * 2, std::chrono::milliseconds(5000));
            continue;
        }
        pause = std::chrono::milliseconds(250);
        follower.show(*answer);
        const auto* job = member(*answer, "job");
        if (!job) return make_error(errors::kBadAnswer, "the answer has no job");
        if (ended(*job)) {
            follower.end_line();
            return client.get("/jobs/" + segment(id));
        }
    }
    follower.end_line();
    return make_error(errors::kInterrupted, "stopped following job {}; it goes on", id);
}

Result<ExitCode> start_job(const std::string& path, const json::value& request, bool wait, const Context& context) {
    auto client = TRY(RestClient::open());
    auto job = TRY(client.post(path, request));
    auto id = id_of(job);
    if (!wait) {
        context.print("job " + id + "\n", job);
        return kExitDone;
    }
    if (!context.json) std::cout << "job " << id << std::endl;
    auto final_job = TRY(follow_job(client, id, context));
    context.print(job_text(final_job), final_job);
    return exit_of(final_job);
}

}  // namespace slipway::console
