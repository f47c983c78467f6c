// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/fixup/appliance.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <csignal>
#include <memory>
#include <mutex>
#include <thread>

#include <boost/json.hpp>

#include "console/errors.hpp"
#include "guest-fixup/errors.hpp"
#include "guest-fixup/wire.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/nbd/nbd.hpp"

namespace slipway::console {

namespace {

namespace json = boost::json;
namespace wire = fixup::wire;
using Clock = std::chrono::steady_clock;

constexpr std::size_t kLastWords = 4096;
constexpr std::string_view kStage = "Slipway: ";
constexpr const char* kKernelArguments =
    "console=ttyS0 quiet panic=-1 no_timer_check rootfstype=ramfs initcall_blacklist=tracer_init_tracefs "
    "slipway.mode=fixup";

// In the order of the job's disks: the kernel names them as they stand on the bus.
std::string guest_disk(std::size_t index) { return fmt::format("/dev/vd{}", static_cast<char>('a' + index)); }

struct Pair {
    UniqueFd ours, theirs;
    static Result<Pair> create() {
        int fds[2];
        if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0) return errno_error(errno, "socketpair");
        return Pair{UniqueFd(fds[0]), UniqueFd(fds[1])};
    }
};

// Keeps the first thing that went wrong with the disk: the guest only learns that something did.
class Remembering final : public disks::PassLayer {
public:
    using PassLayer::PassLayer;
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override {
        return kept(PassLayer::read(offset, buffer));
    }
    Status write(std::uint64_t offset, ByteView data) override { return kept(PassLayer::write(offset, data)); }
    Status flush() override { return kept(PassLayer::flush()); }
    std::optional<Error> first() const {
        std::lock_guard lock(mutex_);
        return first_;
    }

private:
    Status kept(Status status) {
        std::lock_guard lock(mutex_);
        if (!status && !first_) first_ = status.error();
        return status;
    }
    mutable std::mutex mutex_;
    std::optional<Error> first_;
};

// One disk, served by a thread until QEMU or we let go of the connection.
class ServedDisk {
public:
    static Result<std::unique_ptr<ServedDisk>> start(disks::BlockDevice& disk, bool read_only) {
        return std::unique_ptr<ServedDisk>(new ServedDisk(TRY(Pair::create()), disk, read_only));
    }
    ~ServedDisk() { stop(); }
    int client() const { return sockets_.theirs.get(); }
    void handed_over() { sockets_.theirs.reset(); }
    void stop() {
        if (!thread_.joinable()) return;
        ::shutdown(sockets_.ours.get(), SHUT_RDWR);
        thread_.join();
    }
    Remembering disk;

private:
    ServedDisk(Pair sockets, disks::BlockDevice& below, bool read_only)
        : disk(below), sockets_(std::move(sockets)), thread_([this, read_only] {
              // How the connection ended says nothing that the port does not.
              (void)disks::nbd::serve(sockets_.ours.get(), disk, read_only).ok();
          }) {}
    Pair sockets_;
    std::thread thread_;
};

// QEMU and its console, both ends of what it says.
class Machine {
public:
    static Result<Machine> start(const ApplianceMachine& machine, const std::vector<int>& disk_fds, bool read_only) {
        auto port = TRY(Pair::create());
        auto voice = TRY(Pair::create());
        auto nothing = TRY(open_fd("/dev/null", O_RDONLY));
        const auto argv = appliance_command(machine, disk_fds, read_only, port.theirs.get());
        std::vector<int> kept = disk_fds;
        kept.push_back(port.theirs.get());
        CommandOptions options;
        options.before_exec = [kept, parent = ::getpid()] {
            for (int fd : kept)
                if (::fcntl(fd, F_SETFD, 0) != 0) return errno;
            if (::prctl(PR_SET_PDEATHSIG, SIGKILL) != 0) return errno;
            return ::getppid() == parent ? 0 : ESRCH;  // we may be gone already
        };
        auto child = Child::spawn(argv, {nothing.get(), voice.theirs.get(), voice.theirs.get()}, options);
        if (!child) return make_error(errors::kNoAppliance, "{}", child.error().message());
        ::fcntl(voice.ours.get(), F_SETFL, O_NONBLOCK);
        return Machine(*std::move(child), std::move(port.ours), std::move(voice.ours));
    }

    int port() const { return port_.get(); }
    int voice() const { return voice_.get(); }
    void listen() {
        char buffer[4096];
        ssize_t n;
        while ((n = ::read(voice_.get(), buffer, sizeof buffer)) > 0) {
            said_.append(buffer, static_cast<std::size_t>(n));
            unread_.append(buffer, static_cast<std::size_t>(n));
            if (unread_.size() > kLastWords) unread_.erase(0, unread_.size() - kLastWords);
            if (said_.size() > 2 * kLastWords) said_.erase(0, said_.size() - kLastWords);
        }
        if (n == 0) voice_.reset();
    }
    // A line of its process 1 (agent-ramdisk/builder/init.sh), which says so how far the boot is.
    std::optional<std::string> next_stage() {
        for (std::size_t end; (end = unread_.find('\n')) != std::string::npos;) {
            const auto text = printable(trim(unread_.substr(0, end)));
            unread_.erase(0, end + 1);
            if (text.starts_with(kStage)) return text.substr(kStage.size());
        }
        return std::nullopt;
    }
    // The end of its console, on one line.
    std::string last_words() {
        if (voice_.valid()) listen();
        std::vector<std::string> lines;
        for (const auto& line : split(said_, '\n'))
            if (const auto text = trim(line); !text.empty()) lines.push_back(printable(text));
        if (lines.size() > 6) lines.erase(lines.begin(), lines.end() - 6);
        return lines.empty() ? "it said nothing" : "its last words: " + join(lines, " | ");
    }
    // It powers itself off; one that does not is ended.
    int wait(std::chrono::milliseconds limit) {
        const auto deadline = Clock::now() + limit;
        // The port closes when QEMU ends.
        while (child_.running() && Clock::now() < deadline) {
            pollfd fds[2] = {{port_.get(), POLLIN, 0}, {voice_.get(), POLLIN, 0}};
            ::poll(fds, 2, 200);
            if (fds[1].revents) listen();
            char rest[4096];
            if (fds[0].revents && ::read(port_.get(), rest, sizeof rest) <= 0) break;
        }
        return end(Clock::now() < deadline);
    }
    int end(bool closed) {
        if (!closed) child_.signal(SIGKILL);
        return child_.wait();
    }

private:
    Machine(Child child, UniqueFd port, UniqueFd voice)
        : child_(std::move(child)), port_(std::move(port)), voice_(std::move(voice)) {}
    Child child_;
    UniqueFd port_, voice_;
    std::string said_, unread_;
};

// The talk over the port, from the machine's start to its last line.
class Talk {
public:
    Talk(Machine& machine, const ApplianceJob& job)
        : machine_(machine), job_(job), deadline_(Clock::now() + job.patience.start) {}

    Result<fixup::RepairReport> run() {
        while (true) {
            while (auto line = lines_.next())
                if (auto outcome = TRY(hear(*line))) return *std::move(outcome);
            TRY(look_at_time());
            pollfd fds[2] = {{machine_.port(), POLLIN, 0}, {machine_.voice(), POLLIN, 0}};
            ::poll(fds, 2, 200);
            if (fds[1].revents) machine_.listen();
            while (const auto stage = machine_.next_stage())
                if (!asked_ && job_.note) job_.note("appliance: " + *stage);
            if (fds[0].revents) TRY(read_port());
        }
    }

private:
    Status read_port() {
        char buffer[65536];
        const auto n = ::read(machine_.port(), buffer, sizeof buffer);
        if (n < 0 && errno == EINTR) return {};
        if (n > 0) return lines_.feed({buffer, static_cast<std::size_t>(n)});
        const auto code = machine_.wait(std::chrono::seconds(5));
        if (told_) return interrupted();
        return make_error(errors::kApplianceEnded, "QEMU ended with code {} before the repair did; {}", code,
                          machine_.last_words());
    }

    Error interrupted() const {
        if (!asked_) return make_error(fixup::errors::kCancelled, "interrupted before anything was changed");
        return make_error(errors::kRepairInterrupted,
                          "interrupted, and the appliance did not say in time that all is taken back");
    }

    // The guest is asked to stop: its tools are ended, and what they left half done goes back.
    Status look_at_time() {
        if (job_.cancelled && *job_.cancelled && !told_) {
            told_ = true;
            deadline_ = Clock::now() + job_.patience.end;
            if (!asked_ || !write_full(machine_.port(), as_bytes(wire::line_of(wire::Cancel{})))) return interrupted();
        }
        if (Clock::now() < deadline_) return {};
        if (told_) return interrupted();
        return make_error(errors::kApplianceSilent, "the appliance {} within {}; {}",
                          asked_ ? "gave no sign of life" : "did not start",
                          human_duration(static_cast<std::uint64_t>(
                              std::chrono::duration_cast<std::chrono::seconds>(limit()).count())),
                          machine_.last_words());
    }

    std::chrono::milliseconds limit() const { return asked_ ? job_.patience.silence : job_.patience.start; }

    Result<std::optional<Result<fixup::RepairReport>>> hear(const std::string& line) {
        using Heard = std::optional<Result<fixup::RepairReport>>;
        auto message = TRY(wire::parse_message(line));
        // Also of a repair that was interrupted: whether all is taken back is known there.
        if (auto* outcome = std::get_if<wire::Outcome>(&message)) return Heard(std::move(*outcome));
        if (std::holds_alternative<wire::Hello>(message) && !asked_) TRY(ask());
        if (const auto* note = std::get_if<wire::Note>(&message); note && job_.note) job_.note(note->text);
        if (const auto* wanted = std::get_if<wire::Wanted>(&message)) TRY(supply(wanted->key));
        if (!told_) deadline_ = Clock::now() + limit();
        return Heard();
    }

    // The patch library is here.
    Status supply(const patches::FileKey& key) {
        if (!asked_ || ++wanted_ > wire::kMostWanted)
            return make_error(fixup::errors::kWire, "the appliance asks for more patch files than there are");
        wire::PatchFile answer{std::optional<std::string>()};
        if (job_.request.patch_supply) answer.content = job_.request.patch_supply(key);
        if (!write_full(machine_.port(), as_bytes(wire::line_of(answer))))
            return make_error(errors::kApplianceSilent, "the appliance does not take {}", key.text());
        return {};
    }

    Status ask() {
        auto request = job_.request;
        request.disk = guest_disk(0);
        for (std::size_t i = 0; i < request.more_disks.size(); ++i) request.more_disks[i] = guest_disk(i + 1);
        asked_ = true;
        const auto seconds = std::chrono::ceil<std::chrono::seconds>(job_.patience.silence).count();
        timeval limit{static_cast<time_t>(seconds), 0};  // a guest that does not read
        ::setsockopt(machine_.port(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
        auto sent = write_full(machine_.port(), as_bytes(wire::request_line(request)));
        if (!sent) return make_error(errors::kApplianceSilent, "the appliance does not take the request");
        return {};
    }

    Machine& machine_;
    const ApplianceJob& job_;
    wire::Lines lines_;
    Clock::time_point deadline_;
    bool asked_ = false, told_ = false;
    unsigned wanted_ = 0;
};

std::string disk_option(std::size_t index, int fd, bool read_only) {
    return json::serialize(json::object{{"driver", "nbd"},
                                        {"node-name", fmt::format("disk{}", index)},
                                        {"read-only", read_only},
                                        {"server", json::object{{"type", "fd"}, {"str", std::to_string(fd)}}}});
}

// The guest's names of the disks are the user's again.
void rename_disk(fixup::RepairReport& report, const fixup::RepairRequest& asked) {
    for (std::size_t i = 0; i <= asked.more_disks.size(); ++i) {
        const auto name = guest_disk(i);
        if (!report.root_device.starts_with(name)) continue;
        report.root_device.replace(0, name.size(), (i == 0 ? asked.disk : asked.more_disks[i - 1]).string());
        return;
    }
}

}  // namespace

std::vector<std::string> appliance_command(const ApplianceMachine& m, const std::vector<int>& disk_fds, bool read_only,
                                           int port_fd) {
    std::vector<std::string> argv{m.qemu,
                                  "-nodefaults",
                                  "-no-user-config",
                                  "-machine",
                                  "pc",
                                  "-m",
                                  std::to_string(m.memory_mib),
                                  "-smp",
                                  std::to_string(m.processors),
                                  "-nic",
                                  "none",
                                  "-display",
                                  "none",
                                  "-vga",
                                  "none",
                                  "-no-reboot"};
    if (m.accelerator == "kvm") argv.insert(argv.end(), {"-accel", "kvm", "-cpu", "host"});
    else argv.insert(argv.end(), {"-accel", "tcg,thread=multi", "-cpu", "max"});
    argv.insert(argv.end(), {"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny",
                             "-chardev", "stdio,id=console,signal=off", "-serial", "chardev:console", "-device",
                             "virtio-serial-pci", "-chardev", fmt::format("socket,id=port,fd={}", port_fd), "-device",
                             fmt::format("virtserialport,chardev=port,name={}", wire::kPortName), "-object",
                             "rng-builtin,id=random", "-device", "virtio-rng-pci,rng=random"});
    for (std::size_t i = 0; i < disk_fds.size(); ++i)
        argv.insert(argv.end(), {"-blockdev", disk_option(i, disk_fds[i], read_only), "-device",
                                 fmt::format("virtio-blk-pci,drive=disk{}", i)});
    argv.insert(argv.end(), {"-kernel", m.kernel.string(), "-initrd", m.ramdisk.string(), "-append", kKernelArguments});
    return argv;
}

Result<fixup::RepairReport> repair_in_appliance(const ApplianceMachine& m, const ApplianceJob& job) {
    std::vector<std::unique_ptr<ServedDisk>> served;
    std::vector<int> fds;
    for (auto* disk : job.disks) {
        served.push_back(TRY(ServedDisk::start(*disk, job.request.dry_run)));
        fds.push_back(served.back()->client());
    }
    auto machine = TRY(Machine::start(m, fds, job.request.dry_run));
    for (auto& disk : served) disk->handed_over();
    auto report = Talk(machine, job).run();
    // One that has said its last word switches itself off in a moment.
    const bool silent = !report && report.error().is(errors::kApplianceSilent);
    machine.wait(silent ? std::chrono::milliseconds(0) : job.patience.end / 3);
    for (auto& disk : served) {
        disk->stop();
        if (!job.request.dry_run) (void)disk->disk.flush().ok();  // remembered
        // What this machine says of its disk is nearer the cause than what the guest made of it.
        if (auto failed = disk->disk.first()) return std::move(*failed).with("the disk of the appliance");
    }
    if (report) rename_disk(*report, job.request);
    return report;
}

}  // namespace slipway::console
