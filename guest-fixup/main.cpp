// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdio>
#include <iostream>

#include <CLI/CLI.hpp>

#include "guest-fixup/fixup.hpp"
#include "lib/base/exit_code.hpp"
#include "slipway_version.hpp"

namespace {

using namespace slipway;

constexpr const char* kExamples = R"(
Examples:
  slipway-fixup --disk /dev/sda --target ide --nic ens18=52:54:00:51:00:02
  slipway-fixup --disk poseidon.vhd --target virtio-blk --proof-nonce a1b2c3
  slipway-fixup --disk /dev/sda --more-disk /dev/sdb --target nvme --luks-key /run/key
  slipway-fixup --root /mnt --target nvme --firmware uefi --dry-run --json

Exit codes: 0 done (also when nothing was to do), 1 failed, 2 usage, 3 done with warnings.)";

void print_report(const fixup::RepairReport& report) {
    std::cout << (report.distribution.empty() ? "unknown system" : report.distribution) << " on " << report.root_device
              << '\n';
    for (const auto& change : report.journal)
        std::cout << (report.dry_run ? "would change  " : "changed  ") << change.where << "  (" << change.what << ")\n";
    if (report.journal.empty()) std::cout << "nothing to do\n";
    for (const auto& warning : report.warnings) std::cout << "warning: " << warning << '\n';
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app{"Repairs a deployed Linux, offline, for the hardware it will find."};
    app.footer(kExamples);
    app.set_version_flag("--version", std::string(kVersion));
    fixup::RepairRequest request;
    std::string target, firmware = "bios";
    std::vector<std::string> nics;
    bool json = false;
    auto* disk = app.add_option("--disk", request.disk, "the disk: a block device, a raw file or a fixed VHD");
    auto* root = app.add_option("--root", request.root, "a mounted root, instead of --disk");
    disk->excludes(root);
    app.add_option("--target", target, "its controller: ide, sata, scsi-lsi, megasas, virtio-blk, virtio-scsi, nvme")
        ->required();
    app.add_option("--firmware", firmware, "bios (default) or uefi");
    app.add_option("--nic", nics, "OLD=NEW: an adapter's old name or MAC address and its new MAC address")
        ->allow_extra_args(false);
    app.add_option("--proof-nonce", request.proof_nonce, "leaves a unit that reports the first good boot on ttyS1");
    std::vector<std::string> key_files;
    app.add_option("--more-disk", request.more_disks,
                   "another disk of the same machine: of an array, of a group, with /boot")
        ->allow_extra_args(false);
    app.add_option("--luks-key", key_files, "file with a passphrase, or a key file, of an encrypted volume")
        ->allow_extra_args(false);
    app.add_option("--root-volume", request.root_volume,
                   "which system, when several are found: a name that is listed then");
    app.add_flag("--dry-run", request.dry_run, "says what would change, changes nothing");
    app.add_flag("--json", json, "the report as JSON");
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? kExitDone : kExitUsage;
    }
    auto refuse = [](const std::string& what) {
        std::cerr << "error: " << what << " (see --help)\n";
        return kExitUsage;
    };
    if (request.disk.empty() && request.root.empty()) return refuse("give --disk or --root");
    const auto controller = fixup::parse_target(target);
    if (!controller) return refuse("unknown target controller '" + target + "'");
    request.target = *controller;
    const auto kind = fixup::parse_firmware(firmware);
    if (!kind) return refuse("unknown firmware '" + firmware + "'");
    request.firmware = *kind;
    for (const auto& text : nics) {
        auto nic = fixup::parse_nic(text);
        if (!nic) return refuse("'" + text + "' is not OLD=NEW");
        request.nics.push_back(std::move(*nic));
    }
    auto keys = fixup::read_luks_keys(key_files);
    if (!keys) {
        std::cerr << "error: " << keys.error().explain() << '\n';
        return kExitFailed;
    }
    request.luks_keys = *std::move(keys);
    const auto report = fixup::repair(request, [](const std::string& step) { std::cerr << step << " …\n"; });
    if (!report) {
        std::cerr << "error: " << report.error().explain() << '\n';
        return kExitFailed;
    }
    if (json) std::cout << to_json(*report) << '\n';
    else print_report(*report);
    return report->warnings.empty() ? kExitDone : kExitWarnings;
}
