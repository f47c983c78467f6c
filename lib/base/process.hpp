// SPDX-License-Identifier: GPL-3.0-or-later
// Running other programs: argv only (never a shell), owned by a move-only Child.
#pragma once

#include <chrono>
#include <csignal>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

#include "lib/base/fd.hpp"

namespace slipway {

struct CommandResult {
    int exit_code = -1;      // 128 + signal when killed by one
    std::string output;      // stdout
    std::string error_text;  // stderr
    bool ok() const { return exit_code == 0; }
};

struct CommandOptions {
    std::string input;                           // given on stdin
    std::optional<std::chrono::seconds> timeout; // then SIGKILL to the process group, exit 137
    int cancel_fd = -1;                          // readable or closed at the other end: as at the timeout
    std::filesystem::path working_directory;     // empty: inherit
    std::vector<std::string> environment;        // "NAME=value", added to ours
    std::size_t output_limit = 16u << 20;        // more is read and dropped
    // Runs in the child just before the program (chroot, namespaces, limits): only what is safe
    // after fork. 0, or an errno with which the start fails.
    std::function<int()> before_exec;
};

// Runs to the end. An Error only when the program could not be started.
Result<CommandResult> run_command(const std::vector<std::string>& argv, const CommandOptions& options = {});
// As run_command, but a non-zero exit is an Error with the last lines of stderr.
Result<std::string> run_checked(const std::vector<std::string>& argv, const CommandOptions& options = {});

// A started program. Destruction kills (SIGKILL) and reaps it: no orphan is left.
class Child {
public:
    struct Io {                 // -1: inherit. The fds are duplicated, not owned.
        int in = -1, out = -1, err = -1;
    };
    static Result<Child> spawn(const std::vector<std::string>& argv, const Io& io,
                               const CommandOptions& options = {});
    Child(Child&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
    Child& operator=(Child&& other) noexcept;
    ~Child();

    pid_t pid() const { return pid_; }
    bool running();                            // reaps when it has ended
    std::optional<int> exit_code() const { return exit_; }
    void signal(int number);
    int wait();                                // blocks; the exit code as in CommandResult
    pid_t release() { return std::exchange(pid_, -1); }  // leave it running on purpose

private:
    explicit Child(pid_t pid) : pid_(pid) {}
    pid_t pid_ = -1;
    std::optional<int> exit_;
};

}  // namespace slipway
