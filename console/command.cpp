// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/command.hpp"

#include <sys/eventfd.h>
#include <csignal>
#include <iostream>

#include "console/cancel_event.hpp"
#include "console/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace json = boost::json;

void Context::print(const std::string& text, const json::value& document) const {
    auto& out = on_stderr ? std::cerr : std::cout;
    if (json) out << json::serialize(document) << "\n";
    else out << text;
    out.flush();
}

std::atomic<bool>& cancel_flag() {
    static std::atomic<bool> flag{false};
    return flag;
}

namespace {
std::atomic<int> event{-1};  // for the handler; open for as long as the program runs
}

int cancel_event() { return event; }

void catch_signals() {
    if (event < 0) event = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    struct sigaction action {};
    // The second signal ends the program at once.
    action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
    action.sa_handler = [](int) {
        cancel_flag().store(true);
        const auto before = errno;
        (void)::eventfd_write(event, 1);
        errno = before;
    };
    sigaction(SIGINT, &action, nullptr);
    sigaction(SIGTERM, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
}

void on_command(CLI::App& app, Context& context, std::function<Result<ExitCode>()> work) {
    app.callback([&context, work = std::move(work)] {
        auto result = work();
        if (result) {
            context.exit = *result;
            return;
        }
        const auto& error = result.error();
        context.exit = error.is(errors::kUsage) ? kExitUsage : kExitFailed;
        if (context.json)
            (context.on_stderr ? std::cerr : std::cout)
                << json::serialize(json::value{
                       {"error",
                        {{"name", error.name()}, {"message", error.describe()}, {"next_step", error.next_step()}}}})
                << "\n";
        else std::cerr << "error: " << error.explain() << "\n";
    });
}

CLI::App* add_command(CLI::App& parent, Context& context, const std::string& name, const std::string& what,
                      const std::string& examples) {
    auto* app = parent.add_subcommand(name, what);
    app->add_flag("--json", context.json, "one JSON document on standard output");
    if (!examples.empty()) app->footer("Examples:\n" + examples);
    return app;
}

ProgressSink progress_printer(const Context& context) {
    if (context.json) return {};
    auto printer = std::shared_ptr<ProgressPrinter>(new ProgressPrinter(context.clock), [](ProgressPrinter* p) {
        p->finish();
        delete p;
    });
    return [printer](const Progress& progress) { printer->update(progress); };
}

CLI::Validator size_text() {
    return CLI::Validator(
        [](std::string& text) {
            auto size = parse_size(text);
            if (!size) return "'" + text + "' is not a size such as 200M or 4GiB";
            text = std::to_string(*size);
            return std::string();
        },
        "SIZE");
}

}  // namespace slipway::console
