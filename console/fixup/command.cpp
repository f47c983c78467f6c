// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway fixup`: the repair of any disk or image, by this machine's kernel or in the appliance. Without a server.
#include <sys/eventfd.h>
#include <unistd.h>
#include <cerrno>
#include <iostream>
#include <thread>

#include "console/commands.hpp"
#include "console/errors.hpp"
#include "console/fixup/choice.hpp"
#include "console/fixup/prepare.hpp"
#include "guest-fixup/claim.hpp"
#include "guest-fixup/errors.hpp"
#include "guest-fixup/options.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace {

// A line for each step on stderr as it begins; on a terminal the time that it took is added when it ends.
class Steps {
public:
    explicit Steps(bool silent) : silent_(silent), terminal_(::isatty(STDERR_FILENO) == 1) {}
    ~Steps() { end(); }
    void begin(const std::string& step) {
        if (silent_) return;
        end();
        open_ = true;
        begun_ = std::chrono::steady_clock::now();
        std::cerr << printable(step) << (terminal_ ? " …" : " …\n") << std::flush;
    }
    void end() {
        if (!std::exchange(open_, false) || !terminal_) return;
        const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begun_;
        std::cerr << fmt::format(" {:.1f} s\n", took.count()) << std::flush;
    }

private:
    bool silent_, terminal_, open_ = false;
    std::chrono::steady_clock::time_point begun_;
};

// The console's cancel flag as something to poll for.
class CancelEvent {
public:
    static Result<std::unique_ptr<CancelEvent>> create() {
        UniqueFd event(::eventfd(0, EFD_CLOEXEC));
        if (!event.valid()) return errno_error(errno, "eventfd");
        return std::unique_ptr<CancelEvent>(new CancelEvent(std::move(event)));
    }
    int fd() const { return event_.get(); }

private:
    explicit CancelEvent(UniqueFd event)
        : event_(std::move(event)), thread_([this](const std::stop_token& stop) {
              while (!stop.stop_requested() && !cancel_flag())
                  std::this_thread::sleep_for(std::chrono::milliseconds(100));
              if (cancel_flag()) ::eventfd_write(event_.get(), 1);
          }) {}
    UniqueFd event_;
    std::jthread thread_;
};

struct FixupArguments {
    fixup::Options options;
    std::string appliance = "auto";
};

// The system's disk first; none where a mounted root is repaired.
std::vector<std::filesystem::path> disks_of(const fixup::RepairRequest& request) {
    std::vector<std::filesystem::path> disks;
    if (!request.disk.empty()) disks.push_back(request.disk);
    disks.insert(disks.end(), request.more_disks.begin(), request.more_disks.end());
    return disks;
}

Result<fixup::RepairReport> repair_here(fixup::RepairRequest request, Steps& steps) {
    auto cancel = TRY(CancelEvent::create());
    request.cancel_fd = cancel->fd();
    auto report = fixup::repair(request, [&](const std::string& step) { steps.begin(step); });
    if (!report && cancel_flag())
        return make_error(errors::kRepairInterrupted, "interrupted: {}", report.error().describe());
    return report;
}

Result<fixup::RepairReport> repair_there(const fixup::RepairRequest& request, const std::string& why, Steps& steps) {
    steps.begin(fmt::format("in the appliance ({})", why));
    // The disks first: whether they can be had is known at once.
    std::vector<fixup::ClaimedDisk> claimed;
    for (const auto& disk : disks_of(request)) claimed.push_back(TRY(fixup::open_claimed(disk, request.dry_run)));
    auto cancel = TRY(CancelEvent::create());
    const auto machine = TRY(prepare_appliance(cancel->fd()));
    ApplianceJob job;
    job.request = request;
    for (auto& disk : claimed) job.disks.push_back(disk.disk.get());
    job.note = [&](const std::string& step) { steps.begin(step); };
    job.cancelled = &cancel_flag();
    return repair_in_appliance(machine, job);
}

Result<fixup::RepairReport> repair(const fixup::RepairRequest& request, const std::string& mode, Steps& steps) {
    if (!request.root.empty() && mode == "always")
        return make_error(errors::kUsage, "--appliance always takes a --disk, not a --root");
    if (!request.root.empty() || mode == "never") return repair_here(request, steps);
    const auto facts = TRY(look_at_disks(disks_of(request)));
    if (mode == "always") return repair_there(request, "as asked", steps);
    if (const auto why = why_appliance(facts, look_at_host()); !why.empty()) return repair_there(request, why, steps);
    auto report = repair_here(request, steps);
    if (report || !report.error().is(fixup::errors::kNoLoop)) return report;
    return repair_there(request, report.error().message(), steps);
}

Result<ExitCode> run(const FixupArguments& a, const Context& context) {
    auto request = a.options.request();
    if (!request) return make_error(errors::kUsage, "{}", request.error().message());
    Steps steps(context.json);
    const auto report = TRY(repair(*request, a.appliance, steps));
    steps.end();
    context.print(fixup::to_text(report), boost::json::parse(fixup::to_json(report)));
    return static_cast<ExitCode>(fixup::exit_code(report));
}

constexpr const char* kExamples =
    "  slipway fixup --disk web.vhd --target virtio-blk --nic ens18=52:54:00:12:34:56\n"
    "  slipway fixup --disk /dev/sdb --target nvme --firmware uefi --dry-run\n"
    "  slipway fixup --disk try.vhd --target ide --appliance always --json\n"
    "A disk that this machine cannot open by itself (LVM, RAID, LUKS, dynamic and differencing VHDs; without root, "
    "without\n"
    "loop devices) is repaired in the appliance: the agent's ramdisk in QEMU, without a network.\n"
    "Exit codes: 0 done, also when nothing was to do; 1 failed; 2 wrong usage; 3 done with warnings.\n";

}  // namespace

void add_fixup_command(CLI::App& root, Context& context) {
    auto a = std::make_shared<FixupArguments>();
    auto* app = add_command(root, context, "fixup",
                            "Repair a Linux or Windows on a disk or image for the hardware it will find", kExamples);
    a->options.add_to(*app, "the disk: a block device, a raw file or a VHD of any kind");
    app->add_option("--appliance", a->appliance,
                    "whether it is done in the appliance: where this machine cannot (auto), always, never")
        ->check(CLI::IsMember({"auto", "always", "never"}))
        ->capture_default_str();
    on_command(*app, context, [=, &context] { return run(*a, context); });
}

}  // namespace slipway::console
