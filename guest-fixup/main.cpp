// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdio>
#include <iostream>

#include <CLI/CLI.hpp>

#include "guest-fixup/fixup.hpp"
#include "guest-fixup/personality.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "slipway_version.hpp"

namespace {

using namespace slipway;

constexpr const char* kExamples = R"(
Examples:
  slipway-fixup --disk /dev/sda --target ide --nic ens18=52:54:00:51:00:02
  slipway-fixup --disk poseidon.vhd --target virtio-blk --proof-nonce a1b2c3
  slipway-fixup --root /mnt --target nvme --firmware uefi --dry-run --json
  slipway-fixup --disk web.img --target virtio-blk --personality forty.json --device web01 --guest-agent
  slipway-fixup --disk web.img --target virtio-blk --hostname web01 --machine-id new --ssh-host-keys new \
      --address ens3=10.0.0.5/24,gateway=10.0.0.1,dns=10.0.0.53 --first-boot-script setup.sh
  slipway-fixup --disk old-server.img --target ide --drivers-file P2Vdrivers.xml
  slipway-fixup --disk reference.img --prepare-template       clears keys, ids, logs; cannot be undone

Exit codes: 0 done (also when nothing was to do), 1 failed, 2 usage, 3 done with warnings.)";

void print_report(const fixup::RepairReport& report) {
    std::cout << (report.distribution.empty() ? "unknown system" : report.distribution) << " on " << report.root_device
              << '\n';
    for (const auto& change : report.journal)
        std::cout << (report.dry_run ? "would change  " : "changed  ") << change.where << "  (" << change.what << ")\n";
    if (report.journal.empty()) std::cout << "nothing to do\n";
    for (const auto& warning : report.warnings) std::cout << "warning: " << warning << '\n';
}

// ---- personality, leftovers, vendor agents, template

struct IdentityOptions {
    std::string personality, device, drivers_file;
    fixup::PersonalityValues values;
    std::vector<std::string> addresses;
    std::string authorized_key, join_script, first_boot_script;  // files
    bool prepare_template = false;
};

void add_identity_options(CLI::App& app, IdentityOptions& o, fixup::RepairRequest& request) {
    const std::string group = "Who the machine is";
    auto add = [&](const char* name, std::string& into, const char* what) {
        return app.add_option(name, into, what)->group(group);
    };
    add("--personality", o.personality,
        "a JSON file: names, addresses, keys, scripts, of one machine or of many devices");
    add("--device", o.device, "whose personality, when the file has many");
    add("--hostname", o.values["hostname"], "the host name, short or full");
    add("--machine-id", o.values["machine-id"], "new, uninitialized, keep, or 32 hexadecimal digits");
    add("--ssh-host-keys", o.values["ssh-host-keys"], "new: removed, and made again at the first boot; or keep");
    add("--timezone", o.values["timezone"], "Europe/Berlin");
    add("--locale", o.values["locale"], "de_DE.UTF-8");
    app.add_option("--address", o.addresses,
                   "INTERFACE=ADDRESS/LENGTH[,gateway=…][,dns=…][,search=…] or INTERFACE=dhcp; repeat for several")
        ->allow_extra_args(false)
        ->group(group);
    add("--authorized-key", o.authorized_key, "a file with root's public key");
    add("--join-script", o.join_script,
        "a script that joins a domain or directory, run once at the first boot, before others");
    add("--first-boot-script", o.first_boot_script, "a script, run once at the first boot when the network is up");
    app.add_flag("--guest-agent", request.guest_agent, "enables qemu-guest-agent where it is installed")->group(group);
    app.add_option("--guest-agent-package", request.guest_agent_packages,
                   "a .deb or .rpm of it, installed at the first boot; repeat for several")
        ->allow_extra_args(false)
        ->group(group);
    app.add_option("--drivers-file", o.drivers_file,
                   "the P2V drivers file (XML): services, modules and programs that are switched off");
    app.add_flag("--keep-leftovers", request.keep_leftovers, "tools of other hypervisors stay as they are");
    app.add_flag("--prepare-template", o.prepare_template,
                 "clears what makes it one machine: keys, ids, logs, leases, histories; alone, without --target, "
                 "nothing else. Cannot be undone");
}

Status read_identity(IdentityOptions& o, fixup::RepairRequest& request) {
    constexpr std::uint64_t kLimit = 1u << 20;
    auto text = [](const std::string& path) -> Result<std::string> {
        if (path.empty()) return std::string();
        return TRY_WITH(read_text_file(path, kLimit), "reading " + path);
    };
    request.drivers_file = TRY(text(o.drivers_file));
    auto key = TRY(text(o.authorized_key));
    while (key.ends_with('\n')) key.pop_back();
    o.values["authorized-key"] = key;
    o.values["join-script"] = TRY(text(o.join_script));
    o.values["first-boot-script"] = TRY(text(o.first_boot_script));
    for (const auto& address : o.addresses) o.values["addresses"] += address + ";";
    request.personality = TRY(fixup::personality_of(TRY(text(o.personality)), o.device, o.values));
    return {};
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
    app.add_option("--target", target, "its controller: ide, sata, scsi-lsi, megasas, virtio-blk, virtio-scsi, nvme");
    app.add_option("--firmware", firmware, "bios (default) or uefi");
    app.add_option("--nic", nics, "OLD=NEW: an adapter's old name or MAC address and its new MAC address")
        ->allow_extra_args(false);
    app.add_option("--proof-nonce", request.proof_nonce, "leaves a unit that reports the first good boot on ttyS1");
    IdentityOptions identity;
    add_identity_options(app, identity, request);
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
    if (identity.prepare_template)
        request.prepare_template = target.empty() ? fixup::Template::Only : fixup::Template::Also;
    else if (target.empty()) return refuse("give --target");
    if (auto read = read_identity(identity, request); !read) {
        std::cerr << "error: " << read.error().explain() << '\n';
        return kExitUsage;
    }
    const auto controller = fixup::parse_target(target.empty() ? "ide" : target);
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
    const auto report = fixup::repair(request, [](const std::string& step) { std::cerr << step << " …\n"; });
    if (!report) {
        std::cerr << "error: " << report.error().explain() << '\n';
        return kExitFailed;
    }
    if (json) std::cout << to_json(*report) << '\n';
    else print_report(*report);
    return report->warnings.empty() ? kExitDone : kExitWarnings;
}
