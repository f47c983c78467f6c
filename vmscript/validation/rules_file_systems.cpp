// SPDX-License-Identifier: GPL-3.0-or-later
// Volumes and what is on them.
#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "vmscript/validation/rule.hpp"

namespace slipway::vmscript {

using namespace gatherhw;

namespace {

constexpr std::uint64_t kMib = 1u << 20;

std::string what_of(const Volume& v) {
    return fmt::format("volume {} ({})", v.name, v.filesystem.empty() ? "no file system known" : v.filesystem);
}

bool is(std::string_view a, std::initializer_list<std::string_view> list) {
    return std::any_of(list.begin(), list.end(), [&](auto b) { return iequals(a, b); });
}

void root(const Facts& f, Findings& out) {
    const char* where = f.windows ? "%SystemRoot%" : "/";
    if (f.root == nullptr)
        return out.error(fmt::format("no volume holds {}", where),
                         "Where the system lies is not known, so it cannot be repaired.",
                         f.to_know("Run gatherhw on the running source; a system on a network file system cannot be "
                                   "migrated.",
                                   "Win32_OperatingSystem, Win32_Volume and Win32_LogicalDiskToPartition"));
    auto what = fmt::format("root on {} ({})", f.root->name, f.root->filesystem.empty() ? "?" : f.root->filesystem);
    const bool whole =
        f.root->kind == VolumeKind::Disk &&
        std::any_of(f.choice.kept.begin(), f.choice.kept.end(), [&](auto* d) { return d->name == f.root->name; });
    if (f.windows && f.root->kind == VolumeKind::Partition && disks_of(f.machine, *f.root).empty())
        return out.not_checked(what, "On which disk it lies is not known.",
                               f.to_know("", "Win32_DiskPartition and Win32_LogicalDiskToPartition"));
    if (!f.migrates(*f.root) && !whole)
        return out.error(what, "It is not among the disks that migrate.", "Keep its disk.");
    if (f.root->filesystem.empty())
        return out.not_checked(what, "Its file system is not known.",
                               f.to_know("Run gatherhw again as root.", "Win32_Volume or Win32_LogicalDisk"));
    if (f.windows ? is(f.root->filesystem, {"ntfs", "fat32", "fat16", "vfat", "fat"})
                  : is(f.root->filesystem, {"ext2", "ext3", "ext4", "xfs", "btrfs"}))
        return out.ok(what, "The repair finds and mounts it.");
    if (is(f.root->filesystem, {"zfs", "zfs_member", "zfs-member", "reiserfs", "jfs", "f2fs", "bcachefs", "refs"}))
        return out.error(what, "The repair does not mount this file system.",
                         "Move the system to a file system that it mounts (docs/repair.md, \"Finding the root\").");
    out.warn(what, "The repair was not tried on this file system.",
             "Keep the source untouched until the first boot was proved.");
}

// What a plain shutdown before the capture will leave. A restart never does.
void fast_startup(const Facts& f, Findings& out) {
    if (!f.nt || *f.nt < kWindows8 || f.machine.os.hibernated == true) return;
    const auto on = f.machine.os.fast_startup;
    if (on == false) return out.ok("fast startup", "It is off: a shutdown leaves nothing suspended.");
    if (on == true)
        return out.warn("fast startup",
                        "It is on: a plain shutdown leaves Windows suspended, which the repair refuses.",
                        "Before the capture: powercfg /h off, then shut it down; or restart it into the agent.");
    out.not_checked("fast startup", "Whether a plain shutdown leaves Windows suspended is not known.",
                    f.to_know("", "what reg query says of Session Manager\\Power and Control\\Power") +
                        " powercfg /h off before the capture makes sure.");
}

void hibernated(const Facts& f, Findings& out) {
    if (f.machine.os.hibernated == true)
        out.error("the system", "It is hibernated: " + f.machine.os.hibernation_evidence + ".",
                  f.windows
                      ? "Start it, then: shutdown /s /f /t 0 (with powercfg /h off before, fast startup is off too)."
                      : "Start the source and shut it down instead of hibernating it.");
    fast_startup(f, out);
    for (const auto* v : f.kept_volumes) {
        if (v->state != VolumeState::Hibernated) continue;
        if (f.windows && v == f.root && f.machine.os.hibernated != true)
            out.error(what_of(*v), "Windows is hibernated on it or uses fast startup: the repair refuses it.",
                      "Start it, then: powercfg /h off, and shutdown /s /f /t 0.");
        else
            out.warn(what_of(*v), "It holds a hibernated system; all of it is captured and kept.",
                     "Start the source and shut it down instead of hibernating it.");
    }
}

// Whether Windows is started from it: it holds the loader, with boot.ini or the BCD.
bool starts_windows(const Facts& f, const Volume& volume) {
    if (!f.windows) return false;
    if (volume.system_volume) return *volume.system_volume;
    for (const auto& disk : f.machine.disks)
        for (const auto& p : disk.partitions)
            if (p.active && (p.name == volume.name ||
                             std::find(volume.backing.begin(), volume.backing.end(), p.name) != volume.backing.end()))
                return true;
    return false;
}

void dirty(const Facts& f, Findings& out) {
    for (const auto* v : f.kept_volumes) {
        if (v->state != VolumeState::NeedsRecovery) continue;
        const auto place = v->mount_points.empty() ? v->path : v->mount_points.front();
        const auto check = fmt::format(
            "On the source: chkdsk {} /f, restart it so that the check runs, then take "
            "Win32_Volume (XP: Win32_LogicalDisk) again.",
            place);
        if (f.windows && v == f.root)
            out.error(what_of(*v), "Windows is on it and it is marked dirty: the repair refuses it.", check);
        else if (starts_windows(f, *v) && is(v->filesystem, {"ntfs"}))
            out.error(what_of(*v),
                      "Windows starts from it and it is marked dirty: the repair leaves it alone, and what it says of "
                      "disks stays that of the old machine.",
                      check);
        else
            out.warn(what_of(*v), "Its journal needs recovery, or it is marked dirty: it is captured sector by sector.",
                     f.windows ? check : "Shut the source down cleanly before the capture.");
    }
}

void has_errors(const Facts& f, Findings& out) {
    for (const auto* v : f.kept_volumes)
        if (v->has_errors == true)
            out.warn(what_of(*v), "The file system has noted errors of its own.",
                     f.windows ? "Run chkdsk /f on the source before the capture."
                               : "Have fsck check it before the capture.");
}

void luks(const Facts& f, Findings& out) {
    for (const auto* v : f.kept_volumes) {
        if (v->filesystem != "luks" && v->encryption != "luks" && v->kind != VolumeKind::Crypt) continue;
        if (v->kind == VolumeKind::Crypt && f.root != v) continue;  // what it lies on says it
        const bool below_root =
            f.root != nullptr && (f.root == v || std::find(f.root->backing.begin(), f.root->backing.end(), v->name) !=
                                                     f.root->backing.end());
        if (below_root)
            out.warn(
                what_of(*v),
                "The system lies in an encrypted volume: it is captured sector by sector, and the repair needs its "
                "key.",
                "Put a key file into the agent's ramdisk (docs/repair.md, \"Keys\"), and have the passphrase at hand.");
        else
            out.warn(what_of(*v), "Encrypted: captured sector by sector, and nothing compresses.",
                     "Have the passphrase at hand for the first boot.");
    }
}

void bitlocker(const Facts& f, Findings& out) {
    for (const auto* v : f.kept_volumes) {
        if (!is(v->filesystem, {"bitlocker", "fve-fs"}) && !is(v->encryption, {"bitlocker"})) continue;
        if (v == f.root || v->boot_volume == true)
            out.error(
                what_of(*v), "Windows lies in a BitLocker volume: the repair cannot look into it.",
                "Decrypt it on the source (manage-bde -off C:), wait until it is done, take Win32_EncryptableVolume "
                "again.");
        else
            out.warn(what_of(*v), "A BitLocker volume: captured sector by sector; the VM has no TPM that opens it.",
                     "Have its recovery key at hand for the first boot.");
    }
}

void efs(const Facts& f, Findings& out) {
    for (const auto* v : f.kept_volumes)
        if (is(v->encryption, {"efs", "fscrypt"}))
            out.note(what_of(*v), "Files on it are encrypted by the system; they are copied as they are.",
                     "Make sure that the users' keys are backed up.");
}

void unknown(const Facts& f, Findings& out) {
    for (const auto* v : f.kept_volumes) {
        if (!v->filesystem.empty() || v->kind == VolumeKind::Disk) continue;
        bool idle = false;
        for (const auto* d : f.choice.kept)
            for (const auto& p : d->partitions)
                if (p.name == v->name)
                    idle = is_bios_boot_partition(p) ||
                           is(p.type, {"0x05", "0x0f", "0x85", "e3c9e316-0b5c-4db8-817d-f92df00215ae"});
        if (!idle)
            out.note(what_of(*v), "What is on it is not known: it is captured sector by sector, unused space and all.",
                     f.windows ? "Nothing, unless its size matters; Win32_Volume knows more."
                               : "Nothing, unless its size matters; gatherhw as root knows more.");
    }
}

void cluster(const Facts& f, Findings& out) {
    for (const auto* v : f.kept_volumes)
        if (is(v->filesystem, {"gfs2", "gfs", "ocfs2", "vmfs", "csvfs", "lustre", "ceph_bluestore"}))
            out.warn(what_of(*v), "A file system that several machines share: it is copied as this one saw it.",
                     "Leave it out with --excludedrives, and give the VM access to the shared one.");
}

// The repair writes a new initramfs beside the old one, and keeps what it changes.
void room(const Facts& f, Findings& out) {
    auto look = [&](const Volume* v, std::uint64_t least, const char* what) {
        if (v == nullptr) return;
        std::optional<std::uint64_t> left = v->free;
        if (!left && v->used && v->size > *v->used) left = v->size - *v->used;
        else if (!left && v->used) left = 0;
        if (!left)
            return out.not_checked(fmt::format("{} on {}", what, v->name), "How much of it is free is not known.",
                                   f.to_know("Run gatherhw as root on the running source.", "Win32_Volume"));
        if (*left < least)
            return out.warn(
                fmt::format("{} on {}", what, v->name),
                fmt::format("{} are free; the repair needs about {}.", human_bytes(*left), human_bytes(least)),
                "Make room on the source: old kernels, packages, logs.");
        out.ok(fmt::format("{} on {}", what, v->name), fmt::format("{} are free.", human_bytes(*left)));
    };
    const auto* boot = f.is_linux ? f.mounted_at("/boot") : nullptr;
    look(f.root, (boot ? 64 : 200) * kMib, f.windows ? "the Windows volume" : "root");
    look(boot, 100 * kMib, "/boot");
}

void nearly_full(const Facts& f, Findings& out) {
    constexpr std::uint64_t kPercent = 97;
    for (const auto* v : f.kept_volumes) {
        if (!v->used || v->size == 0 || v == f.root || *v->used < v->size / 100 * kPercent || v->filesystem == "swap")
            continue;
        out.note(what_of(*v), fmt::format("It is full to {} %.", *v->used / (v->size / 100 + 1)),
                 "Make room before the move: a full volume is the first thing to fail after it.");
    }
}

void fstab_left_out(const Facts& f, Findings& out) {
    for (const auto& v : f.machine.volumes) {
        if (v.fstab_spec.empty()) continue;
        auto on = disks_of(f.machine, v);
        const bool whole_left = std::any_of(f.choice.left_out.begin(), f.choice.left_out.end(), [&](const auto& d) {
            return d.name == v.name || std::find(on.begin(), on.end(), d.name) != on.end();
        });
        const bool excluded = std::find(f.choice.excluded_volumes.begin(), f.choice.excluded_volumes.end(), v.name) !=
                              f.choice.excluded_volumes.end();
        if (!whole_left && !excluded) continue;
        if (v.mount_options.find("nofail") != std::string::npos || v.mount_options.find("noauto") != std::string::npos)
            continue;
        out.warn("volume " + v.name, fmt::format("Left out, but /etc/fstab mounts it ({}).", v.fstab_spec),
                 "Copy what is needed to another disk, and take it out of /etc/fstab or add nofail.");
    }
}

void fstab_names(const Facts& f, Findings& out) {
    std::vector<std::string> names;
    for (const auto* v : f.kept_volumes)
        if (v->fstab_spec.starts_with("/dev/") && !v->fstab_spec.starts_with("/dev/mapper/") &&
            v->kind == VolumeKind::Partition)
            names.push_back(v->fstab_spec);
    if (!names.empty())
        out.ok("/etc/fstab",
               fmt::format("It names {} by the old controller; the repair names them by UUID.", join(names, ", ")));
}

void features(const Facts& f, Findings& out) {
    for (const auto* v : f.kept_volumes)
        if (v->deduplicated == true)
            out.note(what_of(*v), "It is deduplicated by the system; it is copied as it is and needs no more space.",
                     "Make sure that the role or package for it is installed before it is read elsewhere.");
}

const Rule kRules[] = {
    {"root", Group::FileSystems, Verdict::Error, "Where the system lies",
     "The repair changes the system on its disk: it has to find and mount it.", root},
    {"hibernated", Group::FileSystems, Verdict::Error, "Hibernated systems and fast startup",
     "A memory image of the old hardware is resumed on the new, and what it has in mind of the disk is not what is "
     "there.",
     hibernated},
    {"volume-dirty", Group::FileSystems, Verdict::Error, "File systems that were not closed",
     "Their maps cannot be trusted: every sector is read and kept, and a Windows on one is not repaired.", dirty},
    {"volume-errors", Group::FileSystems, Verdict::Warning, "File systems with errors",
     "A copy has the same errors, and is then blamed for them.", has_errors},
    {"luks", Group::FileSystems, Verdict::Warning, "Volumes encrypted by LUKS",
     "Without the key nothing in it can be repaired, and the VM asks for it at each start.", luks},
    {"bitlocker", Group::FileSystems, Verdict::Error, "Volumes encrypted by BitLocker",
     "Its key is sealed in the source's TPM, which stays behind.", bitlocker},
    {"file-encryption", Group::FileSystems, Verdict::Note, "Files encrypted by the system",
     "Without the users' keys they are lost when the profile is.", efs},
    {"file-system-unknown", Group::FileSystems, Verdict::Note, "File systems that are not known",
     "All sectors are read, sent and stored.", unknown},
    {"cluster-file-system", Group::FileSystems, Verdict::Warning, "File systems of clusters",
     "Mounted by a copy that the others do not know of, it is ruined.", cluster},
    {"repair-space", Group::FileSystems, Verdict::Warning, "Room for the repair",
     "A new initramfs and drivers are written beside the old ones; without room the repair is taken back.", room},
    {"nearly-full", Group::FileSystems, Verdict::Note, "Volumes that are nearly full",
     "Services fail first where there is no room.", nearly_full},
    {"fstab-left-out", Group::FileSystems, Verdict::Warning, "Mounts of what is left out",
     "A system that waits for a volume that is not there ends in the emergency shell.", fstab_left_out},
    {"fstab-names", Group::FileSystems, Verdict::Ok, "Device names in /etc/fstab",
     "Names follow the controller; UUIDs do not.", fstab_names},
    {"deduplication", Group::FileSystems, Verdict::Note, "Deduplicated volumes",
     "Read without its driver, such files are empty.", features},
};

}  // namespace

std::span<const Rule> file_system_rules() { return kRules; }

}  // namespace slipway::vmscript
