// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/agent/command_line.hpp"

#include <csignal>
#include <iostream>

#include <fcntl.h>
#include <sys/file.h>

#include "agent-ramdisk/agent/errors.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/log.hpp"
#include "lib/base/strings.hpp"

namespace slipway::agent {

namespace {

std::atomic<bool> stop_flag{false};

}  // namespace

void CommandLine::add_to(CLI::App& app) {
    app.add_option("--server", server, "the controller, https://HOST:8443")->required();
    app.add_option("--bulk", bulk, "where unencrypted bulk data goes when a task asks for it, http://HOST:8480");
    app.add_option("--ca", ca, "the controller's CA certificate")->required();
    app.add_option("--token", token, "one-time token for the first contact");
    app.add_option("--token-file", token_file, "file that holds it");
    app.add_option("--mac", mac, "the MAC address this machine booted from");
    app.add_option("--state-dir", state_directory, "keeps the certificate")->capture_default_str();
    app.add_option("--disk", disks, "use this file as a disk, and no real one; repeat for several");
    app.add_option("--console", console, "terminal that shows one line of status");
    app.add_option("--post-system", post_system,
                   "program that takes the archive of the controller's PostSystem folder");
    app.add_option("--ready-file", ready_file, "made when the controller has answered");
}

Result<LinkOptions> CommandLine::link() const {
    LinkOptions out;
    out.server_url = server;
    out.bulk_url = bulk;
    out.ca_pem = TRY_WITH(read_text_file(ca, 1u << 20), "the controller's CA");
    out.token = token;
    // The file is taken away once it was used.
    if (token.empty() && !token_file.empty())
        if (auto text = read_text_file(token_file, 4096)) out.token = trim(*text);
    out.mac = mac;
    out.state_directory = state_directory;
    return out;
}

std::unique_ptr<Machine> CommandLine::machine() const { return disks.empty() ? real_machine() : file_machine(disks); }

std::function<void(const std::string&)> CommandLine::status() const {
    if (console.empty()) return {};
    return [path = console](const std::string& text) {
        auto fd = open_fd(path, O_WRONLY | O_NOCTTY);
        if (fd) (void)write_full(fd->get(), as_bytes("\r\nSlipway: " + text + "\r\n")).ok();
    };
}

// Two agents of one identity would both do each task. A directory that cannot be written does without.
Result<UniqueFd> lock_state(const std::string& directory) {
    std::error_code failed;
    std::filesystem::create_directories(directory, failed);
    auto lock = open_fd(directory + "/lock", O_RDWR | O_CREAT, 0600);
    if (!lock) return UniqueFd();
    if (::flock(lock->get(), LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK)
        return make_error(errors::kStateInUse, "{} is locked", directory);
    return lock;
}

int run_until_signal(const CommandLine& command_line, const std::string& kind, std::size_t max_tasks,
                     const TaskTable& tasks) {
    struct sigaction action {};
    action.sa_handler = [](int) { stop_flag = true; };
    action.sa_flags = static_cast<int>(SA_RESETHAND);  // the second signal ends the process at once
    sigaction(SIGTERM, &action, nullptr);
    sigaction(SIGINT, &action, nullptr);
    std::signal(SIGPIPE, SIG_IGN);

    auto link = command_line.link();
    if (!link) {
        std::cerr << "error: " << link.error().explain() << "\n";
        return kExitFailed;
    }
    auto lock = lock_state(command_line.state_directory);
    if (!lock) {
        std::cerr << "error: " << lock.error().explain() << "\n";
        return kExitFailed;
    }
    auto machine = command_line.machine();
    AgentOptions options;
    options.link = std::move(*link);
    options.kind = kind;
    options.max_tasks = max_tasks;
    options.status = command_line.status();
    options.post_system = command_line.post_system;
    options.ready_file = command_line.ready_file;
    auto status = run_agent(*machine, options, tasks, stop_flag);
    if (status || stop_flag) return kExitDone;
    std::cerr << "error: " << status.error().explain() << "\n";
    if (options.status) options.status(status.error().explain());
    return kExitFailed;
}

}  // namespace slipway::agent
