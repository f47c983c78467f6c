// SPDX-License-Identifier: GPL-3.0-or-later
#include <poll.h>
#include <unistd.h>
#include <algorithm>
#include <thread>

#include "guest-fixup/claim.hpp"
#include "guest-fixup/disk_repair.hpp"
#include "guest-fixup/edits.hpp"
#include "guest-fixup/errors.hpp"
#include "guest-fixup/mounts.hpp"
#include "guest-fixup/network.hpp"
#include "guest-fixup/proof.hpp"
#include "guest-fixup/steps.hpp"
#include "guest-fixup/vendor_agents.hpp"
#include "guest-fixup/whole_repair.hpp"
#include "guest-fixup/windows/repair.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"

namespace slipway::fixup {

namespace {

namespace fs = std::filesystem;
using Note = std::function<void(const std::string&)>;

Status check_request(const RepairRequest& request) {
    if (request.disk.empty() == request.root.empty())
        return make_error(errors::kRequest, "give a disk or a mounted root, one of them");
    for (const auto& disk : request.more_disks)
        if (std::error_code none; fs::equivalent(disk, request.disk, none))
            return make_error(errors::kRequest, "{} is given twice", disk.string());
    if (std::error_code none; !request.root.empty() && fs::equivalent(request.root, "/", none))
        return make_error(errors::kRequest, "{} is the system that runs here", request.root.string());
    if (!request.root.empty() && (!request.more_disks.empty() || !request.root_volume.empty()))
        return make_error(errors::kRequest,
                          "other disks and the choice of a root go with a disk, not with a mounted root");
    if (!request.proof_nonce.empty() && !valid_nonce(request.proof_nonce))
        return make_error(errors::kRequest, "the proof nonce is 1 to 64 letters, digits and dashes");
    for (const auto& nic : request.nics) {
        if (nic.old_name.empty() ? !nic.old_mac : !valid_adapter_name(nic.old_name))
            return make_error(errors::kRequest, "an adapter needs its old name or its old address");
        for (const auto& other : request.nics) {
            if (&other == &nic) continue;
            if (other.new_mac == nic.new_mac)
                return make_error(errors::kRequest, "two adapters are given the address {}", nic.new_mac.text());
            // Done twice, such a chain would not give the same, unless a name tells the adapters apart.
            if (other.old_mac == nic.new_mac && (other.old_name.empty() || nic.old_name.empty()))
                return make_error(errors::kRequest,
                                  "{} is one adapter's old and another's new address: give both of them by name",
                                  nic.new_mac.text());
        }
    }
    if (!request.drivers_file.empty()) (void)TRY(parse_drivers_file(request.drivers_file));
    if (::geteuid() != 0) return make_error(errors::kNotRoot, "not running as root");
    return {};
}

// A personality's interface with a name and a card is a card that gets that name, like any other of the request.
Result<RepairRequest> with_named_cards(RepairRequest request) {
    if (request.personality.empty()) return request;
    for (const auto& setup : TRY(parse_personality(request.personality)).interfaces) {
        const auto known = [&](const NicMapping& nic) {
            return nic.new_mac == setup.mac || nic.old_name == setup.name;
        };
        if (setup.mac && !setup.name.empty() && std::none_of(request.nics.begin(), request.nics.end(), known))
            request.nics.push_back({setup.name, std::nullopt, *setup.mac});
    }
    return request;
}

bool is_readable(int fd) {
    pollfd wanted{fd, POLLIN, 0};
    return fd >= 0 && ::poll(&wanted, 1, 0) > 0;
}

std::string pretty_name(std::string_view os_release) {
    for (const auto& line : split(os_release, '\n'))
        if (line.starts_with("PRETTY_NAME=")) {
            auto value = std::string_view(line).substr(12);
            if (value.size() >= 2 && (value.front() == '"' || value.front() == '\''))
                value = value.substr(1, value.size() - 2);
            return std::string(value);
        }
    return "";
}

Result<std::string> distribution_of(const Guest& guest) {
    for (const char* path : {"/etc/os-release", "/usr/lib/os-release"})
        if (auto text = TRY(guest.read(path))) return pretty_name(*text);
    return std::string();
}

// Who the machine is.
Status run_identity_steps(Repair& repair) {
    std::vector<FirstBootScript> first_boot;
    TRY(forget_first_boot(repair));
    TRY(enable_guest_agent(repair, first_boot));
    TRY(personalise(repair, first_boot));
    TRY(add_first_boot(repair, first_boot));
    return prepare_template(repair);
}

Status run_steps(Repair& repair) {
    if (repair.request.prepare_template == Template::Only) return prepare_template(repair);
    TRY(check_initramfs(repair));
    TRY(check_boot_loader(repair));
    repair.note("device names");
    TRY(repair_device_names(repair));
    TRY(repair_crypttab(repair));
    TRY(repair_consoles(repair));
    TRY(repair_firmware(repair));
    repair.note("network");
    bool links_changed = false;
    TRY(repair_network(repair, links_changed));
    TRY(quiet_leftovers(repair, links_changed));
    TRY(apply_drivers_file(repair, links_changed));
    repair.note("drivers");
    TRY(repair_initramfs(repair, links_changed));
    TRY(repair_loaders(repair));
    TRY(run_identity_steps(repair));
    TRY(add_proof_unit(repair));
    return label_new_files(repair);
}

Result<RepairReport> undo_root(Guest& guest, RepairReport report) {
    report.undo = true;
    report.journal = TRY(guest.undo(report.warnings));
    return report;
}

// root has everything of the guest mounted below it.
Result<RepairReport> repair_root(const RepairRequest& request, MountedRoot root, const Note& note) {
    if (root.windows) return windows::repair_windows_root(request, std::move(root), note);
    auto guest = TRY(Guest::open(root.path, request.dry_run));
    guest.cancel_on(request.cancel_fd);
    RepairReport report;
    report.dry_run = request.dry_run;
    report.root_device = std::move(root.name);
    report.warnings = std::move(root.warnings);
    report.distribution = TRY(distribution_of(guest));
    if (request.undo) return undo_root(guest, std::move(report));
    std::vector<std::string> notes;
    TRY(guest.begin_repair(notes));
    for (const auto& text : notes) note(text);
    const auto fstab = TRY(guest.read("/etc/fstab")).value_or("");
    std::string root_spec;
    for (const auto& entry : parse_fstab(fstab))
        if (entry.mount_point == "/") root_spec = entry.spec;
    const auto asked = request_digest(request, root.volumes);
    if (as_the_last_repair_left_it(guest, asked, report)) {
        note("nothing is different since the last repair");
        report.warnings.insert(report.warnings.end(), notes.begin(), notes.end());
        return report;
    }
    const DeviceNames names(std::move(root.volumes), root_spec, root.disk);
    const auto run = guest_runner(guest.root(), root.devices, request.cancel_fd);
    Repair repair{request, guest, names, run, report, note, root.encrypted};
    TRY(all_or_nothing(guest, report, note, [&] { return run_steps(repair); }));
    // Without it the next repair looks once more, that is all.
    if (auto kept = remember_inputs(guest, asked, report); !kept) note(kept.error().describe());
    report.warnings.insert(report.warnings.end(), notes.begin(), notes.end());
    return report;
}

}  // namespace

Status add_proof_unit(Repair& repair) {
    const auto& nonce = repair.request.proof_nonce;
    if (nonce.empty()) return {};
    auto& guest = repair.guest;
    if (!guest.exists("/usr/lib/systemd/systemd") && !guest.exists("/lib/systemd/systemd")) {
        repair.warn("this system does not start by systemd: no boot proof can be had from it");
        return {};
    }
    // The link that makes it run comes last.
    TRY(guest.write("boot proof: script", std::string(kProofScript), proof_script(nonce), 0755));
    TRY(guest.write("boot proof: unit", std::string(kProofUnit), proof_unit()));
    TRY(guest.write("boot proof: refusal unit", std::string(kRefusalUnit), refusal_unit()));
    for (const auto& want : kRefusalWants)
        TRY(guest.symlink("boot proof: refusal enabled", std::string(want), "../slipway-proof-refused.service"));
    return guest.symlink("boot proof: enabled", std::string(kProofWant), "../slipway-proof.service");
}

Result<RepairReport> repair(const RepairRequest& asked, const Note& wanted) {
    const Note note = wanted ? wanted : [](const std::string&) {};
    const auto request = TRY(with_named_cards(asked));
    TRY(check_request(request));
    if (!request.root.empty()) {
        const auto claim = TRY(claim_root(request.root, request.dry_run));
        MountedRoot root{.path = request.root, .volumes = volumes_beside(request.root), .name = request.root.string()};
        root.windows = TRY(windows::windows_in(request.root));
        return repair_root(request, std::move(root), note);
    }
    // Removed by this thread, which never sees the guest mounted on it.
    const auto place = TRY(TempDir::create("fixup"));
    std::optional<Result<RepairReport>> result;
    bool begun = false;
    const RepairRoot repair_it = [&](MountedRoot root) {
        begun = true;
        return repair_root(request, std::move(root), note);
    };
    std::thread([&] { result = repair_disk(request, place.path(), note, repair_it); }).join();
    if (!*result && !begun && is_readable(request.cancel_fd))
        return make_error(errors::kCancelled, "interrupted before anything was changed");
    return *std::move(result);
}

}  // namespace slipway::fixup
