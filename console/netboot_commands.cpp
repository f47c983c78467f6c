// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway netboot watch` and `explain`: a network boot as it goes, and which hop of it failed.
#include <unistd.h>
#include <iostream>
#include <map>
#include <thread>

#include "console/commands.hpp"
#include "console/errors.hpp"
#include "console/netboot_view.hpp"
#include "console/rest_client.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;

struct WatchArguments {
    std::string machine;
    std::uint64_t timeout = 0;  // s; 0: none
};

class Watch {
public:
    Watch(RestClient& client, const WatchArguments& arguments, const Context& context)
        : client_(client), a_(arguments), context_(context), lines_(::isatty(STDOUT_FILENO) == 1) {}

    Result<ExitCode> run() {
        TRY(begin());
        auto pause = std::chrono::milliseconds(250);
        while (!cancel_flag()) {
            if (a_.timeout && context_.clock.now() - started_ >= std::chrono::seconds(a_.timeout)) return give_up();
            auto answer = client_.get(fmt::format("/netboot/events?after={}&wait=5{}", after_, filter("&")));
            if (!answer) {
                if (!answer.error().temporary()) return std::move(answer).error();
                std::this_thread::sleep_for(pause);  // the server is away
                pause = std::min(pause * 2, std::chrono::milliseconds(5000));
                continue;
            }
            pause = std::chrono::milliseconds(250);
            if (show(*answer)) return kExitDone;
            if (array_at(*answer, "items").empty()) TRY(show_finding());
        }
        lines_.end();
        // Watching all machines has no end of its own.
        return a_.machine.empty() ? kExitDone : kExitFailed;
    }

private:
    std::string filter(const char* separator) const {
        return a_.machine.empty() ? "" : separator + ("machine=" + segment(a_.machine));
    }

    // From now on; a boot of the machine that is under way is shown from its beginning.
    Status begin() {
        auto now = TRY(client_.get("/netboot/events" + filter("?")));
        after_ = number_at(now, "last");
        if (auto note = hearing_note(now); !note.empty() && !context_.json) std::cerr << note;
        // Whoever starts the machine after this line misses nothing.
        std::cerr << "watching " << (a_.machine.empty() ? "all machines" : a_.machine) << std::endl;
        if (a_.machine.empty()) return {};
        auto trace = TRY(client_.get("/netboot/traces/" + segment(a_.machine)));
        if (text_at(trace, "outcome") != "underway") return {};
        for (const auto& event : array_at(trace, "items")) {
            if (text_at(event, "time") < text_at(trace, "begun")) continue;
            after_ = number_at(event, "id") - 1;
            break;
        }
        return {};
    }

    // True when the one machine that is watched has arrived.
    bool show(const json::value& answer) {
        after_ = std::max(after_, number_at(answer, "last"));
        for (const auto& event : array_at(answer, "items")) {
            if (context_.json) std::cout << json::serialize(event) << std::endl;
            else lines_.show(event, a_.machine.empty());
            if (!a_.machine.empty() && arrived(event)) return lines_.end(), true;
        }
        return false;
    }

    // Once, as long as it stays the same.
    Status show_finding() {
        if (a_.machine.empty()) return {};
        auto trace = TRY(client_.get("/netboot/traces/" + segment(a_.machine)));
        const auto* finding = member(trace, "finding");
        auto id = finding ? text_at(*finding, "id") : std::string();
        // That nothing was heard yet is no news to who has just begun to look.
        if (array_at(trace, "items").empty() || id == told_) return {};
        told_ = id;
        if (id.empty()) return {};
        lines_.end();
        if (context_.json) std::cout << json::serialize(trace) << std::endl;
        else std::cout << finding_text(*finding) << std::flush;
        return {};
    }

    Result<ExitCode> give_up() {
        lines_.end();
        if (a_.machine.empty()) return kExitDone;
        auto trace = TRY(client_.get("/netboot/traces/" + segment(a_.machine)));
        const auto* finding = member(trace, "finding");
        // What was said already is not said again.
        if (!finding || told_.empty() || text_at(*finding, "id") != told_)
            context_.print(trace_text(trace, false), trace);
        else if (!context_.json) std::cout << "the time is up\n" << std::flush;
        return exit_of_trace(trace) == kExitDone ? kExitFailed : exit_of_trace(trace);
    }

    RestClient& client_;
    WatchArguments a_;
    const Context& context_;
    BootLines lines_;
    Instant started_ = context_.clock.now();
    std::uint64_t after_ = 0;
    std::string told_;
};

Result<ExitCode> watch(const WatchArguments& a, const Context& context) {
    auto client = TRY(RestClient::open());
    return Watch(client, a, context).run();
}

struct ExplainArguments {
    std::string machine;
    std::uint64_t since = 0;  // s; 0: the last boot, whenever it was
    bool stopped = false, events = false;
};

Result<ExitCode> explain(const ExplainArguments& a, const Context& context) {
    auto client = TRY(RestClient::open());
    auto path = "/netboot/traces/" + segment(a.machine) + "?stopped=" + (a.stopped ? "1" : "0");
    if (a.since) path += fmt::format("&since={}", a.since);
    auto trace = TRY(client.get(path));
    context.print(trace_text(trace, a.events), trace);
    return exit_of_trace(trace);
}

Result<ExitCode> list(const Context& context) {
    auto client = TRY(RestClient::open());
    auto traces = TRY(client.get("/netboot/traces"));
    context.print(traces_text(traces), traces);
    return kExitDone;
}

}  // namespace

void add_netboot_commands(CLI::App& root, Context& context) {
    auto& group =
        *root.add_subcommand("netboot", "Network boot: what answers a machine, follow it, learn why it fails");
    group.require_subcommand(1);
    add_netboot_settings(group, context);
    auto w = std::make_shared<WatchArguments>();
    auto* watch_app = add_command(
        group, context, "watch", "Follow network boots as they go",
        "  slipway netboot watch\n"
        "  slipway netboot watch poseidon\n"
        "  slipway netboot watch 52:54:00:51:00:01 --timeout 600 --json\n"
        "A line an event, with the seconds since the boot's first packet; --json: an object a line. Of one "
        "machine it ends when that is ready (0). --timeout: when the time is up, with what explain says.\n"
        "Exit codes: 0 it is ready, or all machines were watched; 3 a hop failed, when the time is up; 1 it had not "
        "arrived\nin that time, the watch was interrupted, or the server could not be asked.\n");
    watch_app->add_option("machine", w->machine, "a MAC address or a device; without: all machines, until interrupted");
    watch_app->add_option("--timeout", w->timeout, "seconds to watch at most");
    on_command(*watch_app, context, [w, &context] { return watch(*w, context); });

    auto e = std::make_shared<ExplainArguments>();
    auto* explain_app = add_command(
        group, context, "explain", "Which hop of a network boot failed, why, and what to do",
        "  slipway netboot explain poseidon\n"
        "  slipway netboot explain 52:54:00:51:00:01 --stopped --events\n"
        "Exit codes: 0 it booted, or nothing has failed so far; 3 a hop failed; 1 it could not be asked.\n");
    explain_app->add_option("machine", e->machine, "a MAC address or a device")->required();
    explain_app->add_option("--since", e->since, "seconds: what is older belongs to another boot");
    explain_app->add_flag("--stopped", e->stopped, "the machine hangs: do not wait for the next hop");
    explain_app->add_flag("--events", e->events, "all that was seen, not the evidence alone");
    on_command(*explain_app, context, [e, &context] { return explain(*e, context); });

    on_command(*add_command(group, context, "list", "The machines that asked to boot lately, and how far they came"),
               context, [&context] { return list(context); });
}

}  // namespace slipway::console
