// SPDX-License-Identifier: GPL-3.0-or-later
// Repairs a deployed operating system, offline, for the hardware it will find: storage drivers in
// the initramfs, the kernel its loader starts, devices by UUID in fstab, crypttab and resume, consoles,
// the EFI fallback loader, network identity (docs/repair.md). Optionally
// leaves a proof unit behind that reports the first good boot on the second serial port.
//
// Every change is in the report's journal and in the guest's /var/lib/slipway/repair.json. A second
// run with the same request changes nothing and has an empty journal.
//
// Needs root (mounts, a private mount namespace, chroot). Blocks; the guest's own tools run in a
// chroot without network and within time limits.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/net.hpp"
#include "lib/base/result.hpp"
#include "lib/patches/fix_hal.hpp"
#include "lib/patches/supply.hpp"

namespace slipway::fixup {

// The controller the guest will find its disk on.
enum class TargetController { Ide, Sata, ScsiLsi, Megasas, VirtioBlk, VirtioScsi, Nvme };
enum class Firmware { Bios, Uefi };
// Whether what makes a system this one machine (keys, ids, logs, leases) is cleared: not at all, besides the repair, or
// alone. It is not kept, so it cannot be undone.
enum class Template { No, Also, Only };
std::optional<Template> parse_template(std::string_view name);  // no, also, only
std::string_view name_of(Template prepare);

inline constexpr int kMostProcessors = 1024;
inline constexpr std::uint64_t kLargestPackage = 16u << 20;
struct PackageFile {
    std::string name, content;
};

// Names as in `--target`: ide, sata (also ahci), scsi-lsi (also lsi, scsi), megasas, virtio-blk
// (also virtio), virtio-scsi, nvme.
std::optional<TargetController> parse_target(std::string_view name);
std::string_view name_of(TargetController target);
std::optional<Firmware> parse_firmware(std::string_view name);  // bios, uefi
std::string_view name_of(Firmware firmware);

// One network adapter: who it was, and the MAC address it has now. Either of old_name and old_mac
// is enough; an old_mac is looked up in the guest's configuration (persistent-net rules, .link
// files, HWADDR lines).
struct NicMapping {
    std::string old_name;  // "ens18"; empty: not known
    std::optional<MacAddress> old_mac;
    MacAddress new_mac;
};

// "ens18=52:54:00:12:34:56" or "OLDMAC=NEWMAC". fixup.request says which half is wrong, and why.
Result<NicMapping> read_nic(std::string_view text);
std::optional<NicMapping> parse_nic(std::string_view text);

struct RepairRequest {
    // A block device with kernel partitions, or a raw or fixed-VHD file (through a loop device).
    // Exactly one of disk and root is given.
    std::filesystem::path disk;
    // An already mounted root with everything below it mounted; nothing is mounted or unmounted.
    std::filesystem::path root;
    TargetController target = TargetController::Ide;
    Firmware firmware = Firmware::Bios;
    std::vector<NicMapping> nics;
    bool serial_console = false;  // the kernel and a login also on the first serial port
    std::string proof_nonce;      // [A-Za-z0-9-]{1,64}; empty: no proof unit
    bool dry_run = false;         // says what would change, changes nothing
    bool undo = false;            // takes back what finished repairs changed; nothing else of the request matters
    // ---- personality, leftovers, vendor agents, template
    std::string personality;      // JSON of this one machine (personality.hpp); empty: it stays who it was
    std::string drivers_file;     // the P2V drivers file's XML (vendor_agents.hpp); empty: none
    bool keep_leftovers = false;  // of other hypervisors' tools
    bool guest_agent = false;     // qemu-guest-agent is enabled
    std::vector<PackageFile> guest_agent_packages;  // .deb or .rpm, installed at the first boot
    Template prepare_template = Template::No;
    // ---- Windows
    std::vector<PackageFile> driver_files;  // of drop-in drivers (driver_directories.hpp), by their paths
    // ----
    // Finding the root (docs/repair.md): other disks of the same machine, for arrays and groups over several and for a
    // /boot of its own; passphrases or contents of key files for LUKS; which system is meant when there are several:
    // what fixup.many-roots names, such as "/dev/mapper/vg0-root", "UUID=…", "partition 2" or "UUID=…:@debian".
    std::vector<std::filesystem::path> more_disks;
    std::vector<std::string> luks_keys;
    std::string root_volume;
    // ---- Windows: HAL and kernel (docs/windows.md). The libraries are directories of the machine that repairs, and
    // its own is looked into after them.
    patches::FixHal fix_hal = patches::FixHal::Auto;
    std::vector<std::filesystem::path> patch_directories;
    unsigned processors = 1;  // of the new machine
    // Whom to ask for what those libraries have not, like cancel_fd of this process alone; empty: nobody.
    patches::Supply patch_supply;
    // ----
    int cancel_fd = -1;  // readable: the guest's tools are ended, and the repair with them
};

// The keys in those files: each as it is, and without a newline at its end, which a passphrase that was typed has not.
Result<std::vector<std::string>> read_luks_keys(const std::vector<std::string>& files);

struct Change {
    std::string what;    // "fstab: /dev/sda1 by UUID"
    std::string where;   // path in the guest, "/etc/fstab", or "disk:boot-code"
    std::string before;  // text; for big or binary files "sha256:HEX size"; "" = was not there
    std::string after;   // "" = removed
};

struct RepairReport {
    std::string distribution;           // PRETTY_NAME of os-release
    std::string root_device;            // "/dev/sda1", or the given root
    std::vector<std::string> kernels;   // versions whose initramfs is fit now
    std::vector<Change> journal;        // in the order done; empty when nothing was to do
    std::vector<std::string> warnings;  // what a person should look at
    bool dry_run = false;
    bool undo = false;       // journal is what was taken back
    bool unchanged = false;  // the inputs are as the last repair left them: no step was run
    std::string inputs;      // their digest; "" when none was taken
};

// The report as JSON: {distribution, root_device, kernels[], journal[{what, where, before, after}],
// warnings[], dry_run, undo, unchanged, inputs}.
std::string to_json(const RepairReport& report);
// {error: {name, message, next_step}}, as every program of ours has it.
std::string to_json(const Error& error);

// note is called with a short line at the start of each step ("initramfs 6.1.0-41-amd64").
Result<RepairReport> repair(const RepairRequest& request, const std::function<void(const std::string&)>& note = {});

}  // namespace slipway::fixup
