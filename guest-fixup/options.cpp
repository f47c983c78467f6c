// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/options.hpp"

#include <set>

#include "guest-fixup/driver_directories.hpp"
#include "guest-fixup/errors.hpp"
#include "lib/base/strings.hpp"
#include "lib/patches/library.hpp"

namespace slipway::fixup {

namespace {

CLI::Validator target_name() {
    return CLI::Validator(
        [](std::string& name) {
            return parse_target(name) ? std::string() : "unknown target controller '" + name + "'";
        },
        "{ide,sata,scsi-lsi,megasas,virtio-blk,virtio-scsi,nvme}");
}

CLI::Validator firmware_name() {
    return CLI::Validator(
        [](std::string& name) { return parse_firmware(name) ? std::string() : "unknown firmware '" + name + "'"; },
        "{bios,uefi}");
}

CLI::Validator fix_hal_name() {
    return CLI::Validator(
        [](std::string& name) {
            return patches::parse_fix_hal(name) ? std::string() : "'" + name + "' is not auto, none, acpi or nacpi";
        },
        "{auto,none,acpi,nacpi}");
}

constexpr const char* kWindows = "Windows NT 4 to Server 2003, 32-bit";

}  // namespace

void Options::add_to(CLI::App& app, const std::string& what_disk) {
    const auto others = app.get_options().size();
    auto* disk = app.add_option("--disk", request_.disk, what_disk);
    auto* root = app.add_option("--root", request_.root, "a directory with a mounted root, instead of --disk");
    disk->excludes(root);
    app.add_option("--target", target_, "the controller it will find its disk on")->check(target_name());
    app.add_option("--firmware", firmware_, "what it will be started by")
        ->check(firmware_name())
        ->capture_default_str();
    app.add_option("--nic", nics_, "OLD=NEW: an adapter's old name or MAC address and its new MAC address; repeat it")
        ->allow_extra_args(false);
    app.add_option("--proof-nonce", request_.proof_nonce, "leaves a unit that reports the first good boot on ttyS1");
    app.add_option("--more-disk", request_.more_disks,
                   "another disk of the same machine, in its order: of an array, of a group, with /boot or boot.ini")
        ->allow_extra_args(false);
    app.add_option("--luks-key", luks_keys_, "file with a passphrase, or a key file, of an encrypted volume")
        ->allow_extra_args(false);
    app.add_option("--root-volume", request_.root_volume,
                   "which system, when several are found: a name that is listed then");
    app.add_option("--drivers", drivers_,
                   "a folder with drivers for a Windows (virtio-win's, or any with INF files); repeat it")
        ->allow_extra_args(false);
    identity_.add_to(app);
    app.add_option("--fixhal", fix_hal_, "HAL and kernel of an old Windows: auto exchanges what cannot start")
        ->check(fix_hal_name())
        ->capture_default_str()
        ->group(kWindows);
    app.add_option("--hwpatchdir", patch_directories_,
                   std::string("directory of a patch library (vmpatch) on this machine; ") + patches::kDefaultLibrary +
                       " is looked into after it")
        ->allow_extra_args(false)
        ->group(kWindows);
    app.add_option("--processors", request_.processors, "how many the new machine has: --fixhal acpi goes by it")
        ->check(CLI::Range(1, kMostProcessors))
        ->capture_default_str()
        ->group(kWindows);
    app.add_flag("--serial-console", request_.serial_console, "a console on the first serial port beside the screen");
    app.add_flag("--dry-run", request_.dry_run, "says what would change, changes nothing");
    auto* undo = app.add_flag("--undo", request_.undo,
                              "takes back everything that finished repairs changed; with --dry-run says what that is");
    // The rest says what a repair is to make of the system.
    static const std::set<std::string> kFitUndo{"--disk",     "--root",        "--more-disk",
                                                "--luks-key", "--root-volume", "--dry-run"};
    const auto all = app.get_options();
    for (std::size_t i = others; i < all.size(); ++i)
        if (all[i] != undo && !kFitUndo.contains(all[i]->get_name())) undo->excludes(all[i]);
}

Result<RepairRequest> Options::request() const {
    auto request = request_;
    if (request.disk.empty() && request.root.empty()) return make_error(errors::kRequest, "give --disk or --root");
    if (target_.empty() && !identity_.template_only() && !request.undo)
        return make_error(errors::kRequest, "give --target");
    TRY(identity_.apply(request, target_.empty()));
    request.luks_keys = TRY(read_luks_keys(luks_keys_));
    request.driver_files = TRY(read_driver_directories({drivers_.begin(), drivers_.end()}));
    const auto target = parse_target(target_.empty() ? "ide" : target_);
    if (!target) return make_error(errors::kRequest, "unknown target controller '{}'", printable(target_));
    request.target = *target;
    const auto firmware = parse_firmware(firmware_);
    if (!firmware) return make_error(errors::kRequest, "unknown firmware '{}'", printable(firmware_));
    request.firmware = *firmware;
    request.fix_hal = patches::parse_fix_hal(fix_hal_).value_or(patches::FixHal::Auto);
    request.patch_directories.assign(patch_directories_.begin(), patch_directories_.end());
    for (const auto& text : nics_) request.nics.push_back(TRY_WITH(read_nic(text), "--nic"));
    return request;
}

}  // namespace slipway::fixup
