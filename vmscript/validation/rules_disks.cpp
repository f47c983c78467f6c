// SPDX-License-Identifier: GPL-3.0-or-later
// Disks by themselves: size, sectors, geometry, health, what is left out.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "vmscript/validation/rule.hpp"

namespace slipway::vmscript {

using namespace gatherhw;

namespace {

std::string what_of(const Disk& d) { return fmt::format("disk {}, {}", d.name, human_bytes(d.size)); }

void excluded_drives(const Facts& f, Findings& out) {
    for (const auto& p : f.choice.problems) out.error("--excludedrives", p, "Correct the list of --excludedrives.");
    for (const auto& d : f.choice.left_out)
        if (d.why != kUsbDisk) out.ok("disk " + d.name, "Left out: " + d.why + ".");
    for (const auto& v : f.choice.excluded_volumes)
        out.ok("volume " + v, "Left out as asked; its space reads as zeros.");
}

void usb_disk(const Facts& f, Findings& out) {
    for (const auto& d : f.choice.left_out)
        if (d.why == kUsbDisk) out.ok("disk " + d.name, "Left out: a USB disk.");
}

void disk_size(const Facts& f, Findings& out) {
    for (const auto* d : f.choice.kept) {
        if (d->size > kMaxDisk)
            out.error(what_of(*d), "A virtual disk holds at most 2040 GB.",
                      "Leave it out with --excludedrives, or make its table and volumes smaller.");
        else if (d->size == 0)
            out.error(what_of(*d), "Its size is not known.",
                      f.to_know("Run gatherhw again as root.", "Win32_DiskDrive"));
        else if (f.controller != Controller::Ide || d->size <= kMaxIdeDisk)
            out.ok(what_of(*d), fmt::format("Fits on the VM's {} controller.", name_of(f.controller)));
    }
}

void disk_ide_limit(const Facts& f, Findings& out) {
    if (f.controller != Controller::Ide) return;
    for (const auto* d : f.choice.kept)
        if (d->size > kMaxIdeDisk && d->size <= kMaxDisk)
            out.error(what_of(*d), "A virtual IDE disk holds at most 127 GB.",
                      "Give --targetcontroller auto, sata, scsi or virtio.");
}

void disk_count(const Facts& f, Findings& out) {
    auto count = f.choice.kept.size(), most = most_disks(f.controller);
    auto what = fmt::format("disks: {}", count);
    if (count == 0)
        return out.error(what, "There is nothing to migrate.",
                         f.machine.disks.empty()
                             ? f.to_know("Run gatherhw as root, or leave out fewer disks.", "Win32_DiskDrive")
                             : "Leave out fewer disks.");
    if (count > most)
        return out.error(what, fmt::format("The VM's {} controller takes {} disks.", name_of(f.controller), most),
                         "Leave some out with --excludedrives, or give another --targetcontroller.");
    out.ok(what, fmt::format("The VM's {} controller takes {}.", name_of(f.controller), most));
}

void sector_size(const Facts& f, Findings& out) {
    for (const auto* d : f.choice.kept)
        if (d->logical_sector != 512)
            out.error(what_of(*d), fmt::format("Its sectors have {} bytes, a virtual disk's 512.", d->logical_sector),
                      "Leave it out with --excludedrives and copy its files.");
}

void alignment(const Facts& f, Findings& out) {
    constexpr std::uint64_t kPage = 4096;
    for (const auto* d : f.choice.kept)
        for (const auto& p : d->partitions)
            if (p.offset % kPage != 0)
                out.note("partition " + p.name, "It does not begin at a multiple of 4096 bytes.",
                         "Nothing for the migration; new partitions are better begun at 1 MiB.");
}

// Cylinders of other than 255 heads of 63 sectors: Windows before Vista, NT's loader and LILO believe the table.
void geometry(const Facts& f, Findings& out) {
    for (const auto* d : f.choice.kept) {
        if (d->table != TableKind::Mbr || !d->geometry || d->geometry->heads == 0) continue;
        const auto& g = *d->geometry;
        if (g.heads == 255 && g.sectors == 63) continue;
        auto found =
            fmt::format("Its cylinders have {} heads of {} sectors, not the usual 255 of 63.", g.heads, g.sectors);
        if (f.nt && *f.nt < kVista)
            out.warn("disk " + d->name,
                     found + " The repair writes the VM's geometry into the table and the boot sector.",
                     "Look at the first boot: a black screen with a cursor is a geometry that was not taken over.");
        else if (f.windows && !f.nt)
            out.not_checked("disk " + d->name, found + " Whether this Windows minds is not known.",
                            f.to_know("", "Win32_OperatingSystem"));
        else out.ok("disk " + d->name, found + " Systems of today do not mind.");
    }
}

void partition_table(const Facts& f, Findings& out) {
    for (const auto* d : f.choice.kept)
        if (d->table == TableKind::Unknown)
            out.warn(what_of(*d), "Its partition table could not be read: it is captured sector by sector.",
                     f.to_know("Run gatherhw again as root to know more.", "Win32_DiskPartition"));
}

void disk_identity(const Facts& f, Findings& out) {
    std::map<std::string, std::size_t> seen;
    for (const auto& d : f.machine.disks)
        if (!d.serial.empty()) ++seen[d.serial];
    for (const auto& [serial, count] : seen)
        if (count > 1)
            out.note("serial number " + serial, fmt::format("{} disks have it: they are known by their order.", count),
                     "Check in the capture's log that the right disks were taken.");
}

void disk_signature(const Facts& f, Findings& out) {
    std::map<std::string, std::string> seen;
    for (const auto* d : f.choice.kept) {
        if (d->disk_id.empty() || d->table == TableKind::None) continue;
        auto [it, fresh] = seen.emplace(to_lower(d->disk_id), d->name);
        if (!fresh)
            out.warn(
                fmt::format("disks {} and {}", it->second, d->name), "They have the same signature " + d->disk_id + ".",
                "Leave one of them out with --excludedrives: it is a copy of the other, or a path to the same disk.");
    }
}

void read_only(const Facts& f, Findings& out) {
    for (const auto* d : f.choice.kept)
        if (d->read_only)
            out.note("disk " + d->name, "It is write protected; its copy in the VM is not.",
                     "Leave it out with --excludedrives if it is a medium and no disk.");
}

void health(const Facts& f, Findings& out) {
    std::vector<std::string> unknown;
    for (const auto* d : f.choice.kept) {
        if (d->health == Health::Failing)
            out.warn("disk " + d->name, "It says that it is failing: " + d->health_evidence + ".",
                     "Capture it first and soon, and keep a backup of your own; read what the capture says of sectors "
                     "lost.");
        else if (d->io_errors.value_or(0) > 0)
            out.note("disk " + d->name, fmt::format("{} commands failed since the source started.", *d->io_errors),
                     "Look into the source's log before the capture.");
        else if (d->health == Health::Good) out.ok("disk " + d->name, "It says that it is well.");
        else unknown.push_back(d->name);
    }
    if (!unknown.empty())
        out.not_checked("disks " + join(unknown, ", "), "Whether they are failing is not known.",
                        f.windows
                            ? "Look at Status of Win32_DiskDrive; behind a RAID controller its maker's tool knows."
                            : "Run gatherhw as root on the source; behind a RAID controller its maker's tool "
                              "knows.");
}

void boot_disk(const Facts& f, Findings& out) {
    if (f.choice.kept.empty() || f.root == nullptr || f.uefi) return;
    const auto* boot = f.mounted_at("/boot");
    auto on = disks_of(f.machine, boot ? *boot : *f.root);
    const auto& first = f.choice.kept.front()->name;
    if (f.root->kind == VolumeKind::Disk) on.push_back(f.root->name);
    if (on.empty() || std::find(on.begin(), on.end(), first) != on.end()) return;
    out.warn("disk " + first,
             fmt::format("The VM's BIOS starts from the first disk; what is booted lies on {}.", join(on, ", ")),
             fmt::format("Put the disk of {} first in NAME_internalState.xml, unless the boot loader is on {}.",
                         on.front(), first));
}

const Rule kRules[] = {
    {"excluded-drives", Group::Disks, Verdict::Error, "Volumes and disks to leave out",
     "A name that fits nothing would leave in what you wanted left out.", excluded_drives},
    {"usb-disk", Group::Disks, Verdict::Ok, "USB disks", "A stick or backup disk is no part of the machine.", usb_disk},
    {"disk-size", Group::Disks, Verdict::Error, "Size of a disk", "A VHD has a limit that no larger disk fits into.",
     disk_size},
    {"disk-ide-limit", Group::Disks, Verdict::Error, "Size of a disk on an IDE controller",
     "Beyond 28 bits of addresses an old BIOS or driver writes to the wrong place.", disk_ide_limit},
    {"disk-count", Group::Disks, Verdict::Error, "Number of disks",
     "Without a disk there is nothing to move, and one too many has no place to be attached to.", disk_count},
    {"sector-size", Group::Disks, Verdict::Error, "Sector size",
     "Tables and file systems count in sectors: on others they are unreadable.", sector_size},
    {"alignment", Group::Disks, Verdict::Note, "Alignment of partitions",
     "On disks of 4096-byte blocks each write becomes a read and two writes.", alignment},
    {"geometry", Group::Disks, Verdict::Warning, "Cylinder size",
     "Old boot code finds its next sector by cylinder, head and sector: with another geometry it hangs on a black "
     "screen.",
     geometry},
    {"partition-table", Group::Disks, Verdict::Warning, "Partition table",
     "Without it nothing is known of what the disk holds, and unused space is copied as well.", partition_table},
    {"disk-identity", Group::Disks, Verdict::Note, "Serial numbers of disks",
     "The agent may number disks otherwise than the source's system did.", disk_identity},
    {"disk-signature", Group::Disks, Verdict::Warning, "Two disks with one signature",
     "Windows takes one of them offline, and letters or volumes come from the wrong one.", disk_signature},
    {"disk-read-only", Group::Disks, Verdict::Note, "Write-protected disks", "It may be a card or medium and no disk.",
     read_only},
    {"disk-health", Group::Disks, Verdict::Warning, "Health of disks",
     "A capture reads every used sector: a disk near its end may not survive it.", health},
    {"boot-disk", Group::Disks, Verdict::Warning, "The disk that is booted from",
     "A BIOS starts from the first disk and looks no further.", boot_disk},
};

}  // namespace

std::span<const Rule> disk_rules() { return kRules; }

}  // namespace slipway::vmscript
