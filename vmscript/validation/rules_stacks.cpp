// SPDX-License-Identifier: GPL-3.0-or-later
// What lies over several disks: RAID, LVM, Windows' dynamic disks and pools, SANs.
#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "vmscript/validation/rule.hpp"

namespace slipway::vmscript {

using namespace gatherhw;

namespace {

bool is_member(const Disk& d, std::string_view of) {
    return std::find(d.member_of.begin(), d.member_of.end(), of) != d.member_of.end();
}

bool has_type(const Disk& d, std::initializer_list<std::string_view> types) {
    return std::any_of(d.partitions.begin(), d.partitions.end(), [&](const auto& p) {
        return std::find(types.begin(), types.end(), to_lower(p.type)) != types.end();
    });
}

void dynamic_disk(const Facts& f, Findings& out) {
    for (const auto* d : f.choice.kept)
        if (is_member(*d, "ldm") ||
            has_type(*d, {"0x42", "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3", "af9b60a0-1431-4f62-bc68-3311714a69ad"}))
            out.warn("disk " + d->name,
                     "A Windows dynamic disk: its volumes are captured sector by sector and cannot be left out.",
                     "Keep all disks of the group together.");
}

void storage_spaces(const Facts& f, Findings& out) {
    for (const auto* d : f.choice.kept)
        if (is_member(*d, "storage-spaces") || has_type(*d, {"e75caf8f-f680-4cee-afa3-b001e56efc2d"}))
            out.warn("disk " + d->name, "A member of a Storage Spaces pool: captured sector by sector.",
                     "Keep all disks of the pool together, and look at the pool's health after the first boot.");
}

void bios_raid(const Facts& f, Findings& out) {
    for (const auto* d : f.choice.kept)
        if (is_member(*d, "bios-raid"))
            out.error(
                "disk " + d->name, "A member of a RAID set of the mainboard's firmware: the VM's firmware has none.",
                "Break the set on the source (keep one half of a mirror), or copy the system to a single disk first.");
}

void zfs(const Facts& f, Findings& out) {
    for (const auto* d : f.choice.kept)
        if (is_member(*d, "zfs"))
            out.warn(
                "disk " + d->name, "A member of a ZFS pool: captured sector by sector, and not looked into.",
                "Keep all disks of the pool together, and export the pool before the capture if it is no root pool.");
}

void bcache(const Facts& f, Findings& out) {
    for (const auto* d : f.choice.kept)
        for (std::string_view kind : {"bcache", "drbd"})
            if (is_member(*d, kind))
                out.warn("disk " + d->name, fmt::format("A part of {}: captured sector by sector.", kind),
                         kind == "drbd"
                             ? "Disconnect the replica before the first boot: two primaries ruin each other's data."
                             : "Write the cache back (detach it) on the source before the capture.");
}

// Arrays and groups whose disks do not all come along.
void members_left(const Facts& f, Findings& out) {
    for (const auto& v : f.machine.volumes) {
        if (v.kind != VolumeKind::Md && v.kind != VolumeKind::Lvm) continue;
        if (!f.migrates(v)) continue;
        std::vector<std::string> left;
        for (const auto& name : disks_of(f.machine, v))
            if (const auto* d = find_disk(f.machine, name); d && !f.kept(*d)) left.push_back(name);
        if (left.empty()) continue;
        out.error("volume " + v.name, "It lies on disks that are left out: " + join(left, ", ") + ".",
                  "Keep all disks that it lies on, or leave all of them out.");
    }
}

void raid(const Facts& f, Findings& out) {
    for (const auto* v : f.kept_volumes)
        if (v->kind == VolumeKind::Md)
            out.note("array " + v->name,
                     fmt::format("Software RAID {}: its members are captured together, used blocks only.", v->detail),
                     "In the VM one disk is enough: take the members out of the array once all is well.");
}

void lvm(const Facts& f, Findings& out) {
    std::vector<std::string> names;
    for (const auto* v : f.kept_volumes)
        if (v->kind == VolumeKind::Lvm) names.push_back(v->name);
    if (!names.empty())
        out.ok("volumes " + join(names, ", "), "LVM is looked through: used blocks alone are captured.");
}

void multipath(const Facts& f, Findings& out) {
    std::vector<std::string> names;
    for (const auto* v : f.kept_volumes)
        if (v->kind == VolumeKind::Multipath) names.push_back(v->name);
    for (const auto* d : f.choice.kept)
        if (!d->multipath.empty() || is_member(*d, "multipath")) names.push_back(d->name);
    if (names.empty()) return;
    out.warn(join(names, ", "),
             "Several paths lead to one disk; the VM has one path, and each path counts as a disk here.",
             "Leave all paths but one out with --excludedrives, and remove multipath after the first boot.");
}

void san(const Facts& f, Findings& out) {
    for (const auto* d : f.choice.kept)
        if (d->san == true || d->bus == BusKind::FibreChannel || d->bus == BusKind::Iscsi)
            out.warn(
                "disk " + d->name, "A LUN of a SAN: it is copied into a virtual disk, and the LUN stays as it is.",
                "Unmap the LUN from the source once the VM is at work, or leave it out and attach it to the VM as a "
                "linked disk.");
}

void san_paths(const Facts& f, Findings& out) {
    static constexpr std::string_view kSoftware[] = {"emcp",   "emcpmpx", "dm_rdac", "mppVhba", "vxdmp",
                                                     "sddsrv", "dlmfdrv", "mpio",    "msdsm"};
    for (auto name : kSoftware)
        if (const auto* d = f.driver(name); d && d->start != "disabled" && d->state != "stopped")
            out.warn("driver " + d->name, "A driver for several paths to a SAN: the VM has one path.",
                     "Remove the multipath software on the source before the capture, or after the first boot.");
}

const Rule kRules[] = {
    {"dynamic-disk", Group::Disks, Verdict::Warning, "Windows dynamic disks",
     "Their volumes may lie over several disks, which only work together.", dynamic_disk},
    {"storage-spaces", Group::Disks, Verdict::Warning, "Storage Spaces",
     "A pool without one of its disks may not start.", storage_spaces},
    {"bios-raid", Group::Disks, Verdict::Error, "RAID of the mainboard's firmware",
     "Half of a mirror starts and then differs from the other; a stripe does not start at all.", bios_raid},
    {"zfs", Group::Disks, Verdict::Warning, "ZFS pools", "A pool without one of its disks may not start.", zfs},
    {"layered-storage", Group::Disks, Verdict::Warning, "bcache and DRBD",
     "What a disk holds is not all there is: a cache or a replica elsewhere belongs to it.", bcache},
    {"members-left-out", Group::Disks, Verdict::Error, "Arrays and volume groups with disks left out",
     "Without one of its disks the volume is not there, or is older than it says.", members_left},
    {"raid", Group::Disks, Verdict::Note, "Software RAID",
     "Mirrors in a VM cost twice the space and protect from nothing.", raid},
    {"lvm", Group::Disks, Verdict::Ok, "LVM", "All disks of a group come along, or none.", lvm},
    {"multipath", Group::Disks, Verdict::Warning, "Multipath",
     "One disk would be captured several times, and the system waits for paths that are gone.", multipath},
    {"san-disk", Group::Disks, Verdict::Warning, "Disks of a SAN", "Two machines that write to one LUN ruin it.", san},
    {"san-driver", Group::Disks, Verdict::Warning, "Multipath software of SAN makers",
     "Such filter drivers stop a system whose disks they do not recognise.", san_paths},
};

}  // namespace

std::span<const Rule> stack_rules() { return kRules; }

}  // namespace slipway::vmscript
