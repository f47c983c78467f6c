// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/process.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "lib/base/errors.hpp"

namespace slipway {

namespace {

int code_of(int status) { return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status); }

struct Pipe {
    UniqueFd read_end, write_end;
    static Result<Pipe> create() {
        int fds[2];
        if (::pipe2(fds, O_CLOEXEC) != 0) return errno_error(errno, "pipe");
        return Pipe{UniqueFd(fds[0]), UniqueFd(fds[1])};
    }
};

constexpr unsigned kCloseOnExec = 1u << 2;  // CLOSE_RANGE_CLOEXEC of linux/close_range.h

[[noreturn]] void exec_child(const std::vector<std::string>& argv, const Child::Io& io, const CommandOptions& options,
                             int error_fd) {
    ::setpgid(0, 0);
    std::array<std::pair<int, int>, 3> moves{{{io.in, 0}, {io.out, 1}, {io.err, 2}}};
    for (auto& [from, to] : moves)
        if (from >= 0 && from != to) ::dup2(from, to);
        else if (from == to) ::fcntl(from, F_SETFD, 0);
    // Libraries open descriptors that a new program would inherit: a listening socket of ours, held by a power command
    // that outlives us, would keep the next server from its port. (Kernels before 5.11 do not know the call.)
    ::syscall(SYS_close_range, 3u, ~0u, kCloseOnExec);
    sigset_t none;
    sigemptyset(&none);
    ::sigprocmask(SIG_SETMASK, &none, nullptr);
    ::signal(SIGPIPE, SIG_DFL);
    if (!options.working_directory.empty() && ::chdir(options.working_directory.c_str()) != 0) {
        int e = errno;
        (void)!::write(error_fd, &e, sizeof e);
        ::_exit(127);
    }
    for (const auto& entry : options.environment) ::putenv(const_cast<char*>(entry.c_str()));
    if (int e = options.before_exec ? options.before_exec() : 0) {
        (void)!::write(error_fd, &e, sizeof e);
        ::_exit(127);
    }
    std::vector<char*> args;
    for (const auto& a : argv) args.push_back(const_cast<char*>(a.c_str()));
    args.push_back(nullptr);
    ::execvp(args[0], args.data());
    int e = errno;
    (void)!::write(error_fd, &e, sizeof e);
    ::_exit(127);
}

using Deadline = std::optional<std::chrono::steady_clock::time_point>;

// For poll(); nothing when the deadline has passed.
std::optional<int> time_left(const Deadline& deadline) {
    if (!deadline) return -1;
    const auto left = *deadline - std::chrono::steady_clock::now();
    if (left <= left.zero()) return std::nullopt;
    return static_cast<int>(std::chrono::duration_cast<std::chrono::milliseconds>(left).count()) + 1;
}

// A program may close its outputs and run on.
void wait_for_end(Child& child, const Deadline& deadline, int cancel_fd) {
    if (!deadline && cancel_fd < 0) return;
    UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, child.pid(), 0)));
    if (!process.valid()) return;
    for (;;) {
        const auto wait_ms = time_left(deadline);
        pollfd fds[2] = {{process.get(), POLLIN, 0}, {cancel_fd, POLLIN, 0}};
        if (!wait_ms) return child.signal(SIGKILL);
        if (::poll(fds, 2, *wait_ms) <= 0) continue;
        if (fds[0].revents) return;
        if (fds[1].revents) return child.signal(SIGKILL);
    }
}

// Feeds stdin and drains both outputs until the program closes them or the deadline passes.
void pump(Child& child, UniqueFd in, UniqueFd out, UniqueFd err, const CommandOptions& options, CommandResult& result) {
    Deadline deadline;
    if (options.timeout) deadline = std::chrono::steady_clock::now() + *options.timeout;
    std::size_t fed = 0;
    if (options.input.empty()) in.reset();
    else ::fcntl(in.get(), F_SETFL, O_NONBLOCK);
    auto drain = [&](UniqueFd& fd, std::string& into) {
        char buffer[65536];
        auto n = ::read(fd.get(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) return;
        if (n <= 0) fd.reset();
        else if (into.size() < options.output_limit) into.append(buffer, static_cast<std::size_t>(n));
    };
    while (out.valid() || err.valid()) {
        pollfd fds[4] = {
            {out.get(), POLLIN, 0}, {err.get(), POLLIN, 0}, {in.get(), POLLOUT, 0}, {options.cancel_fd, POLLIN, 0}};
        const auto wait_ms = time_left(deadline);
        if (!wait_ms) return child.signal(SIGKILL);
        if (::poll(fds, 4, *wait_ms) <= 0) continue;
        if (fds[3].revents) return child.signal(SIGKILL);
        if (out.valid() && fds[0].revents) drain(out, result.output);
        if (err.valid() && fds[1].revents) drain(err, result.error_text);
        if (in.valid() && fds[2].revents) {
            auto n = ::write(in.get(), options.input.data() + fed, options.input.size() - fed);
            if (n > 0) fed += static_cast<std::size_t>(n);
            if (fed == options.input.size() || (n < 0 && errno != EAGAIN && errno != EINTR)) in.reset();
        }
    }
    wait_for_end(child, deadline, options.cancel_fd);
}

}  // namespace

Result<Child> Child::spawn(const std::vector<std::string>& argv, const Io& io, const CommandOptions& options) {
    assert(!argv.empty());
    auto report = TRY(Pipe::create());
    pid_t pid = ::fork();
    if (pid < 0) return errno_error(errno, "fork");
    if (pid == 0) exec_child(argv, io, options, report.write_end.get());
    ::setpgid(pid, pid);
    Child child(pid);
    report.write_end.reset();
    int exec_errno = 0;
    ssize_t n;
    do n = ::read(report.read_end.get(), &exec_errno, sizeof exec_errno);
    while (n < 0 && errno == EINTR);
    if (n == sizeof exec_errno) {
        child.wait();
        return make_error(errors::kProcess, "cannot start {}: {}", argv[0], std::strerror(exec_errno));
    }
    return child;
}

Child& Child::operator=(Child&& other) noexcept {
    if (this != &other) {
        this->~Child();
        pid_ = std::exchange(other.pid_, -1);
        exit_ = other.exit_;
    }
    return *this;
}

Child::~Child() {
    if (pid_ > 0 && running()) {
        signal(SIGKILL);
        wait();
    }
}

bool Child::running() {
    if (pid_ <= 0 || exit_) return false;
    int status = 0;
    if (::waitpid(pid_, &status, WNOHANG) == pid_) exit_ = code_of(status);
    return !exit_;
}

void Child::signal(int number) {
    if (pid_ > 0 && !exit_ && ::kill(-pid_, number) != 0) ::kill(pid_, number);
}

int Child::wait() {
    int status = 0;
    while (!exit_) {
        auto n = ::waitpid(pid_, &status, 0);
        if (n == pid_) exit_ = code_of(status);
        else if (errno != EINTR) exit_ = -1;
    }
    return *exit_;
}

Result<CommandResult> run_command(const std::vector<std::string>& argv, const CommandOptions& options) {
    auto in = TRY(Pipe::create());
    auto out = TRY(Pipe::create());
    auto err = TRY(Pipe::create());
    auto child = TRY(Child::spawn(argv, {in.read_end.get(), out.write_end.get(), err.write_end.get()}, options));
    in.read_end.reset();
    out.write_end.reset();
    err.write_end.reset();
    // Writing to a program that has closed its stdin must be an error, not our death.
    ::signal(SIGPIPE, SIG_IGN);
    CommandResult result;
    pump(child, std::move(in.write_end), std::move(out.read_end), std::move(err.read_end), options, result);
    result.exit_code = child.wait();
    return result;
}

Result<std::string> run_checked(const std::vector<std::string>& argv, const CommandOptions& options) {
    auto result = TRY(run_command(argv, options));
    if (result.ok()) return std::move(result.output);
    std::string words;
    for (const auto& a : argv) words += (words.empty() ? "" : " ") + a;
    auto& text = result.error_text.empty() ? result.output : result.error_text;
    if (text.size() > 2000) text.erase(0, text.size() - 2000);
    return make_error(errors::kProcess, "`{}` ended with {}: {}", words, result.exit_code, text);
}

}  // namespace slipway
