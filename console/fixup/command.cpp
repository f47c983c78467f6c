// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway fixup`: the repair of any disk or image, by this machine's kernel or in the appliance. Without a server.
#include <unistd.h>
#include <iostream>
#include <optional>

#include "console/cancel_event.hpp"
#include "console/commands.hpp"
#include "console/errors.hpp"
#include "console/fixup/choice.hpp"
#include "console/fixup/prepare.hpp"
#include "console/fixup/steps.hpp"
#include "guest-fixup/claim.hpp"
#include "guest-fixup/errors.hpp"
#include "guest-fixup/options.hpp"
#include "lib/patches/supply.hpp"

namespace slipway::console {

namespace {

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

// note: a step begins.
using Note = std::function<void(const std::string&)>;

Result<fixup::RepairReport> repair_here(fixup::RepairRequest request, const Note& note) {
    request.cancel_fd = cancel_event();
    return fixup::repair(request, note);
}

Result<fixup::RepairReport> repair_there(const fixup::RepairRequest& request, const std::string& why,
                                         const Note& note) {
    note(fmt::format("in the appliance ({})", why));
    // The disks first: whether they can be had is known at once.
    std::vector<fixup::ClaimedDisk> claimed;
    for (const auto& disk : disks_of(request)) claimed.push_back(TRY(fixup::open_claimed(disk, request.dry_run)));
    note("appliance: its kernel and ramdisk");
    const auto machine = TRY(prepare_appliance(cancel_event()));
    ApplianceJob job;
    job.request = request;
    auto libraries = request.patch_directories;
    libraries.emplace_back(patches::kDefaultLibrary);
    job.request.patch_supply = [libraries](const patches::FileKey& key) {
        return patches::find_in_libraries(libraries, key);
    };
    for (auto& disk : claimed) job.disks.push_back(disk.disk.get());
    job.note = note;
    job.cancelled = &cancel_flag();
    note(fmt::format("appliance: starting ({})", machine.accelerator == "kvm" ? "KVM" : "emulated"));
    return repair_in_appliance(machine, job);
}

Result<fixup::RepairReport> repair(const fixup::RepairRequest& request, const std::string& mode, const Note& note) {
    if (!request.root.empty() && mode == "always")
        return make_error(errors::kUsage, "--appliance always takes a --disk, not a --root");
    if (!request.root.empty() || mode == "never") return repair_here(request, note);
    const auto facts = TRY(look_at_disks(disks_of(request)));
    if (mode == "always") return repair_there(request, "as asked", note);
    if (const auto why = why_appliance(facts, look_at_host()); !why.empty()) return repair_there(request, why, note);
    auto report = repair_here(request, note);
    if (report || !report.error().is(fixup::errors::kNoLoop)) return report;
    return repair_there(request, report.error().message(), note);
}

Result<ExitCode> run(const FixupArguments& a, const Context& context) {
    auto request = a.options.request();
    if (!request) return make_error(errors::kUsage, "{}", request.error().message());
    const auto report = TRY([&]() -> Result<fixup::RepairReport> {
        if (context.json) return repair(*request, a.appliance, [](const std::string&) {});
        Steps steps(std::cerr, ::isatty(STDERR_FILENO) == 1);
        const SecondHand hand(steps);
        return repair(*request, a.appliance, [&](const std::string& step) { steps.begin(step); });
    }());
    context.print(fixup::to_text(report), boost::json::parse(fixup::to_json(report)));
    return static_cast<ExitCode>(fixup::exit_code(report));
}

constexpr const char* kExamples =
    "  slipway fixup --disk web.vhd --target virtio-blk --nic ens18=52:54:00:12:34:56\n"
    "  slipway fixup --disk /dev/sdb --target nvme --firmware uefi --dry-run\n"
    "  slipway fixup --disk web2003.img --target ide --fixhal acpi --hwpatchdir /srv/Patches --dry-run\n"
    "  slipway fixup --disk try.vhd --target ide --appliance always --json\n"
    "A disk that this machine cannot open by itself (LVM, RAID, LUKS, dynamic and differencing VHDs; without root, "
    "without\n"
    "loop devices) is repaired in the appliance: the agent's ramdisk in QEMU, without a network. The program\n"
    "slipway-fixup, with a page of its own in section 8, is the repair by this machine's kernel alone.\n"
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
