// SPDX-License-Identifier: GPL-3.0-or-later
// What every command of the console shares: its options, its output, and how it ends.
#pragma once

#include <atomic>
#include <functional>
#include <string>

#include <CLI/CLI.hpp>
#include <boost/json.hpp>

#include "lib/base/clock.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/progress.hpp"
#include "lib/base/result.hpp"

namespace slipway::console {

struct Context {
    bool json = false;       // --json: one JSON document on stdout, errors too
    bool on_stderr = false;  // standard output carries the bytes of a disk: all that is said goes to stderr
    SystemClock clock;
    ExitCode exit = kExitDone;

    // Text for people, or the document, whichever was asked for.
    void print(const std::string& text, const boost::json::value& document) const;
};

// Set by SIGINT and SIGTERM; long commands stop at the next chunk and say so.
std::atomic<bool>& cancel_flag();
void catch_signals();

// Runs `work` when `app` is the command given; prints its error and sets the exit code.
void on_command(CLI::App& app, Context& context, std::function<Result<ExitCode>()> work);

// --json at the end of each command as well as at the front of all.
CLI::App* add_command(CLI::App& parent, Context& context, const std::string& name, const std::string& what,
                      const std::string& examples = {});

// A progress line on stderr for as long as it lives; nothing with --json.
ProgressSink progress_printer(const Context& context);

// CLI11 check and transform for "200M", "4GiB".
CLI::Validator size_text();

}  // namespace slipway::console
