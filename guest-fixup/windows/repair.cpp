// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/repair.hpp"

#include <algorithm>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/steps.hpp"
#include "guest-fixup/whole_repair.hpp"
#include "guest-fixup/windows/answer_file.hpp"
#include "guest-fixup/windows/disk_edits.hpp"
#include "guest-fixup/windows/find_windows.hpp"
#include "guest-fixup/windows/hive_files.hpp"
#include "guest-fixup/windows/mounted_devices.hpp"
#include "guest-fixup/windows/steps.hpp"
#include "lib/base/sha256.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

namespace fs = std::filesystem;
using Note = std::function<void(const std::string&)>;

struct Step {
    const char* name;
    Status (*run)(WindowsRepair&);
};

// ---- THE TABLE OF STEPS: in this order, each a function of system.hpp. What is refused is refused by the first ones,
// before anything is changed. The registry itself is written behind all of them.
constexpr Step kSteps[] = {
    {"firmware", repair_firmware},
    {"drop-in drivers", add_drop_in_drivers},  // which storage then finds
    {"storage", repair_storage},
    {"HAL and kernel", repair_hal},
    {"services and drivers of the old hardware", repair_agents},
    {"processor", repair_processor},
    {"filter drivers", repair_filters},  // without those that were disabled
    {"boot store", repair_boot_store},
    {"drive letters", repair_mounted_devices},
    {"network", repair_network},
    {"crash control", repair_crash_control},
    {"first boot", add_first_boot},  // which puts crash control back
};

// "Windows 7 Ultimate, Service Pack 1 (6.1.7601, x86)"
std::string title_of(const WindowsSystem& windows) {
    const auto pack = windows.service_pack ? fmt::format(", Service Pack {}", windows.service_pack) : std::string();
    return fmt::format("{}{} ({}.{}.{}, {})", windows.product, pack, windows.major, windows.minor, windows.build,
                       name_of(windows.architecture));
}

// "hibr", "rstr": a session is in it. A disk's own check (find_disk.cpp) sees more.
Status refuse_hibernated(const Guest& guest) {
    const auto path = find_path(guest, "/hiberfil.sys");
    if (!path) return {};
    const auto start = to_lower(TRY(guest.read_start(*path, 4)).value_or(""));
    if (start == "hibr" || start == "rstr")
        return make_error(errors::kHibernated,
                          "hiberfil.sys holds the session of a Windows that is hibernated, or was "
                          "shut down for a fast startup");
    return {};
}

Status check_request(const RepairRequest& request) {
    if (request.prepare_template == Template::Only)
        return make_error(errors::kRequest, "--prepare-template is for Linux; a Windows is made a template by sysprep");
    return {};
}

// What clears a Linux of its identity does not exist for a Windows: a copy of an unprepared one is the same machine.
void warn_of_twins(WindowsRepair& repair) {
    if (repair.request.prepare_template == Template::No || prepared_by_sysprep(repair)) return;
    repair.warn(
        "this Windows was not prepared by sysprep: each copy has the same SID and computer name. "
        "docs/windows.md says how it is made a template");
}

void warn_of_ignored(WindowsRepair& repair) {
    if (repair.request.serial_console)
        repair.warn("a console on the serial port is not set up in Windows: bcdedit /ems, or boot.ini's /redirect");
}

// A signature that the disk has lost is still in the registry, beside the volume's offset.
std::uint32_t lost_signature(const WindowsRepair& repair) {
    if (!repair.disk || repair.disk->layout.mbr_signature != 0) return 0;
    const auto* partition = repair.disk->partition(repair.disk->windows_partition);
    for (const auto& name : repair.system.values("MountedDevices")) {
        const auto value = repair.system.get("MountedDevices", name);
        const auto volume = value && name.starts_with("\\DosDevices\\") ? parse_mbr_volume(value->data) : std::nullopt;
        if (partition && volume && volume->offset == partition->offset) return volume->signature;
    }
    return 0;
}

Status run_steps(WindowsRepair& repair, LoadedHive& system, LoadedHive& software, DiskEdits& edits) {
    TRY(check_request(repair.request));
    warn_of_ignored(repair);
    warn_of_twins(repair);
    for (const auto& step : kSteps) {
        repair.note(step.name);
        TRY_WITH(step.run(repair), step.name);
    }
    const SectorWishes wishes{repair.windows.major < 6 && repair.request.firmware == Firmware::Bios,
                              lost_signature(repair)};
    TRY(write_hive(repair.guest, system));
    TRY(write_hive(repair.guest, software));
    return edits.apply(wishes);
}

// "/System Volume Information/Boot/BCD" is where we see it; people know it as a file of another volume.
void name_boot_volume(const MountedWindows& windows, RepairReport& report) {
    if (windows.boot.empty()) return;
    for (auto& change : report.journal)
        if (change.where.starts_with(windows.boot + "/"))
            change.where = windows.boot_name + ": " + change.where.substr(windows.boot.size());
}

std::string product_for_undo(const Guest& guest, const std::string& root) {
    auto software = load_system_hive(guest, root, "SOFTWARE");
    return software ? software->hive.string("Microsoft\\Windows NT\\CurrentVersion", "ProductName").value_or("Windows")
                    : "Windows";
}

Result<RepairReport> undo(const RepairRequest& request, const MountedRoot& root, Guest& guest, RepairReport report) {
    report.undo = true;
    report.distribution = product_for_undo(guest, root.windows->root);
    const DiskEdits edits(guest, *root.windows);
    if (!request.dry_run) {
        if (const auto since = TRY(guest.interrupted_since())) {
            report.journal = TRY(edits.undo(false, *since));
            if (TRY(guest.take_back_unfinished(report.warnings))) return report;
        }
        // Refused, it is refused before the first sector of a finished repair goes back.
        auto look = TRY(Guest::open(root.path, true));
        look.keep_journal_in(root.windows->root);
        std::vector<std::string> notes;
        (void)TRY(look.undo(notes));
    }
    auto sectors = TRY(edits.undo(request.dry_run, TRY(guest.undo_since())));
    auto files = TRY(guest.undo(report.warnings));
    for (auto* changes : {&files, &sectors})
        report.journal.insert(report.journal.end(), changes->begin(), changes->end());
    name_boot_volume(*root.windows, report);
    return report;
}

// A repair that was cut short: its sectors go back before the record of them does; those of finished ones stay.
Status begin(Guest& guest, const DiskEdits& edits, std::vector<std::string>& notes) {
    const auto since = guest.dry_run() ? std::nullopt : TRY(guest.interrupted_since());
    if (since)
        for (const auto& change : TRY(edits.undo(false, *since))) notes.push_back(change.what);
    return guest.begin_repair(notes);
}

Result<std::string> digest_of_inputs(const RepairRequest& request, const std::vector<Volume>& volumes,
                                     const DiskEdits& edits) {
    return sha256(as_bytes(request_digest(request, volumes) + TRY(edits.digest()))).text();
}

}  // namespace

Result<std::optional<MountedWindows>> windows_in(const fs::path& root) {
    const auto guest = TRY(Guest::open(root, true));
    for (const char* linux_file : {"/etc/os-release", "/usr/lib/os-release", "/etc/fstab"})
        if (guest.exists(linux_file)) return std::optional<MountedWindows>();
    auto roots = system_roots(guest);
    if (const auto boot_ini = find_path(guest, "/boot.ini"); boot_ini && roots.size() > 1)
        if (auto named = named_by_boot_ini(TRY(guest.read(*boot_ini, 1u << 20)).value_or(""), roots)) roots = {*named};
    if (roots.empty()) return std::optional<MountedWindows>();
    if (roots.size() > 1)
        return make_error(errors::kManyRoots, "{} Windows systems are there: {}", roots.size(), join(roots, ", "));
    return std::optional(MountedWindows{.root = roots.front()});
}

Result<RepairReport> repair_windows_root(const RepairRequest& request, MountedRoot root, const Note& note) {
    const auto& mounted = *root.windows;
    auto guest = TRY(Guest::open(root.path, request.dry_run));
    guest.cancel_on(request.cancel_fd);
    guest.keep_journal_in(mounted.root);
    RepairReport report;
    report.dry_run = request.dry_run;
    report.root_device = root.name;
    report.warnings = root.warnings;
    TRY(refuse_hibernated(guest));
    if (request.undo) return undo(request, root, guest, std::move(report));
    DiskEdits edits(guest, mounted);
    std::vector<std::string> notes;
    TRY(begin(guest, edits, notes));
    for (const auto& text : notes) note(text);
    note("registry");
    auto system = TRY(load_system_hive(guest, mounted.root, "SYSTEM"));
    auto software = TRY(load_system_hive(guest, mounted.root, "SOFTWARE"));
    auto windows = TRY(describe_windows(mounted.root, system.hive, software.hive));
    windows.boot = mounted.boot;
    report.distribution = title_of(windows);
    if (as_the_last_repair_left_it(guest, TRY(digest_of_inputs(request, root.volumes, edits)), report)) {
        note("nothing is different since the last repair");
        report.warnings.insert(report.warnings.end(), notes.begin(), notes.end());
        return report;
    }
    WindowsRepair repair{request, guest, windows, system.hive, software.hive, report, note};
    if (mounted.place) repair.disk = &*mounted.place;
    TRY(all_or_nothing(
        guest, report, note, [&] { return run_steps(repair, system, software, edits); },
        [&] { return edits.take_back(); }));
    const auto left = TRY(digest_of_inputs(request, root.volumes, edits));
    // Without it the next repair looks once more, that is all.
    if (auto kept = remember_inputs(guest, left, report); !kept) note(kept.error().describe());
    name_boot_volume(mounted, report);
    report.warnings.insert(report.warnings.end(), notes.begin(), notes.end());
    return report;
}

}  // namespace slipway::fixup::windows
