// SPDX-License-Identifier: GPL-3.0-or-later
// From the firmware to the kernel's command line.
#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "vmscript/validation/rule.hpp"

namespace slipway::vmscript {

using namespace gatherhw;

namespace {

constexpr std::string_view kRepairPage = "docs/repair.md, \"From the firmware to init\"";

constexpr std::string_view kSetFirmware =
    "Import Win32_DiskPartition, Win32_Volume and Win32_LogicalDiskToPartition of all disks: they tell what it starts "
    "by (msinfo32 shows it as BIOS mode).";

// The table of the disk that Windows is on tells what it starts by, and the repair goes by that.
bool other_table(const Facts& f, Findings& out) {
    if (!f.windows || f.root == nullptr) return false;
    for (const auto& name : disks_of(f.machine, *f.root)) {
        const auto* disk = find_disk(f.machine, name);
        if (disk == nullptr || (disk->table != TableKind::Gpt && disk->table != TableKind::Mbr)) continue;
        const bool gpt = disk->table == TableKind::Gpt;
        if (gpt == f.uefi) continue;
        out.error(std::string(name_of(f.machine.system.firmware)),
                  fmt::format("Windows is on disk {}, which has {} and so starts by {}; the VM gets {}, and the repair "
                              "refuses that when all is copied.",
                              name, gpt ? "a GPT" : "an MBR", gpt ? "UEFI alone" : "a BIOS alone",
                              f.uefi ? "UEFI" : "a BIOS"),
                  std::string(kSetFirmware));
        return true;
    }
    return false;
}

void firmware(const Facts& f, Findings& out) {
    if (other_table(f, out)) return;
    switch (f.machine.system.firmware) {
        case Firmware::Bios: return out.ok("BIOS", "The VM has a BIOS too.");
        case Firmware::Uefi:
            return out.ok(
                "UEFI", "The VM has UEFI firmware too; the repair sees to a loader that starts without a boot entry.");
        case Firmware::Unknown:
            if (f.windows)
                return out.warn("unknown", "The VM gets a BIOS; a Windows installed for UEFI does not start from it.",
                                std::string(kSetFirmware));
            return out.warn("unknown", "The VM gets a BIOS; a system installed for UEFI does not start from it.",
                            "Run gatherhw on the running source; if it starts by UEFI, set firmware=\"uefi\" in "
                            "NAME_internalState.xml and in the repair task.");
    }
}

void firmware_controller(const Facts& f, Findings& out) {
    if (f.uefi && f.controller == Controller::Scsi)
        out.error("--targetcontroller scsi",
                  "The VM's UEFI firmware has no driver for the LSI 53C895A: it finds no disk.",
                  "Give --targetcontroller auto, ide, sata or virtio.");
}

void secure_boot(const Facts& f, Findings& out) {
    if (f.machine.system.secure_boot == true)
        out.warn("Secure Boot is on",
                 "The VM's firmware does not check signatures; keys in the old firmware stay behind.",
                 "Have recovery keys of encrypted volumes at hand.");
    else if (f.uefi && f.nt && *f.nt < kWindows8) out.ok("Secure Boot", "It is off: this Windows does not know it.");
    else if (f.uefi && !f.machine.system.secure_boot)
        out.not_checked("Secure Boot", "Whether it is on is not known.",
                        f.to_know("Run gatherhw again as root on the running source.",
                                  "what reg query says of Control\\SecureBoot\\State"));
}

struct LoaderRow {
    std::string_view id, name;
};
constexpr LoaderRow kLoaders[] = {{"grub2", "GRUB 2"},
                                  {"grub-legacy", "GRUB legacy"},
                                  {"systemd-boot", "systemd-boot"},
                                  {"extlinux", "extlinux"},
                                  {"syslinux", "syslinux"},
                                  {"ntldr", "NTLDR"},
                                  {"bootmgr", "the Windows Boot Manager"}};

void boot_loader(const Facts& f, Findings& out) {
    const auto& loader = f.machine.boot.loader;
    for (const auto& row : kLoaders)
        if (loader == row.id)
            return out.ok(std::string(row.name),
                          f.windows ? "It comes with the disk; the repair corrects what it says of devices."
                                    : "The repair corrects its configuration.");
    if (loader == "lilo")
        return out.error("LILO", "It knows its kernel by block numbers: the repair refuses it.",
                         "Install GRUB on the source, start it once by that, and run gatherhw again.");
    if (loader.empty())
        return out.warn(
            "unknown", "Which boot loader starts it is not known.",
            f.to_know(fmt::format("Run gatherhw again as root; {} lists those that are repaired.", kRepairPage),
                      "Win32_OperatingSystem"));
    out.warn(loader, "The repair does not know this boot loader; it must find its disk by itself.",
             "Make sure that its configuration names the root by UUID.");
}

void esp(const Facts& f, Findings& out) {
    if (!f.uefi) return;
    for (const auto* d : f.choice.kept)
        for (const auto& p : d->partitions)
            if (is_efi_system_partition(p)) {
                const auto& gone = f.choice.excluded_volumes;
                if (std::find(gone.begin(), gone.end(), p.name) != gone.end())
                    return out.error("EFI system partition " + p.name, "It is left out.",
                                     "Take it out of --excludedrives.");
                return out.ok("EFI system partition " + p.name, "It comes along.");
            }
    const auto& kept = f.choice.kept;
    if (std::all_of(kept.begin(), kept.end(), [](const auto* d) { return d->partitions.empty(); }))
        return out.not_checked("EFI system partition", "No partition of the disks that migrate is known.",
                               f.to_know("Run gatherhw again as root on the running source.", "Win32_DiskPartition"));
    out.error("EFI system partition", "None of the disks that migrate has one, and the source starts by UEFI.",
              f.windows ? "Keep the disk that it is on; Win32_DiskPartition has the types of partitions."
                        : "Keep the disk that it is on; gatherhw as root sees the types of partitions.");
}

// A BIOS starts a Windows from the partition that is marked active.
void active_partition(const Facts& f, Findings& out) {
    if (!f.windows || f.uefi || f.choice.kept.empty()) return;
    const auto& d = *f.choice.kept.front();
    if (d.table != TableKind::Mbr) return;
    if (d.partitions.empty())
        return out.not_checked("disk " + d.name, "Its partitions are not known.", f.to_know("", "Win32_DiskPartition"));
    for (const auto& p : d.partitions)
        if (p.active) return out.ok("partition " + p.name, "It is the active one.");
    out.error(
        "disk " + d.name, "None of its partitions is active: a BIOS does not start Windows from it.",
        "Mark the one with the boot loader active (diskpart: active), if the source starts from this disk at all.");
}

void bios_boot_partition(const Facts& f, Findings& out) {
    if (f.machine.system.firmware != Firmware::Bios || f.machine.boot.loader != "grub2" || f.choice.kept.empty())
        return;
    const auto& d = *f.choice.kept.front();
    if (d.table != TableKind::Gpt) return;
    for (const auto& p : d.partitions)
        if (is_bios_boot_partition(p)) return out.ok("disk " + d.name, "It has a BIOS boot partition.");
    out.warn("disk " + d.name, "A GPT disk that a BIOS starts from, without a BIOS boot partition.",
             "Make sure that GRUB on the source is not embedded elsewhere: grub-install says so.");
}

void separate_boot(const Facts& f, Findings& out) {
    for (std::string_view point : {"/boot", "/usr", "/var", "/boot/efi"}) {
        const auto* v = f.mounted_at(point);
        if (v == nullptr || f.migrates(*v)) continue;
        if (point == "/boot/efi" && !f.uefi) continue;
        out.error(fmt::format("{} on {}", point, v->name), "The repair needs it, and it is not among what migrates.",
                  "Keep its disk.");
    }
    for (const auto& name : f.choice.excluded_volumes)
        if (const auto* v = find_volume(f.machine, name))
            for (const auto& m : v->mount_points)
                if (m == "/boot" || m == "/usr")
                    out.error(fmt::format("{} on {}", m, v->name), "The repair needs it, and it is left out.",
                              "Take it out of --excludedrives.");
}

void network_root(const Facts& f, Findings& out) {
    for (const auto& word : f.kernel_arguments())
        if (word.starts_with("root=/dev/nfs") || word.starts_with("netroot=") || word.starts_with("root=nbd") ||
            word.starts_with("root=live:") || word.starts_with("nfsroot=") || word == "rd.iscsi.firmware=1" ||
            word == "rd.iscsi.firmware" || word == "iscsi_auto")
            return out.error(word,
                             "The system's root comes from the network: it is not on the disks that are captured.",
                             "Copy the system to a local disk first, or install it anew on the VM.");
}

struct ArgumentRow {
    std::string_view word;
    bool prefix, serious;
    std::string_view says, to_do;
};
constexpr ArgumentRow kArguments[] = {
    {"acpi=off", false, true, "The VM is switched off and numbers its processors by ACPI.",
     "Take it out before the first boot."},
    {"noapic", false, true, "Interrupts of a VM with several processors need the APIC.",
     "Take it out before the first boot."},
    {"nolapic", false, true, "A VM with several processors needs it.", "Take it out before the first boot."},
    {"isolcpus=", true, false, "Processors are set aside by number.", "Compare with the VM's number of processors."},
    {"nohz_full=", true, false, "Processors are set aside by number.", "Compare with the VM's number of processors."},
    {"maxcpus=", true, false, "The kernel is told how many processors to use.",
     "Compare with the VM's number of processors."},
    {"vfio-pci.ids=", true, false, "Cards are passed on to virtual machines; the VM has none.",
     "Take it out after the move."},
    {"memmap=", true, true, "Ranges of the old machine's memory are set aside or kept.",
     "Take it out before the first boot."},
    {"pci=", true, false, "A workaround for the old machine's buses.", "Take it out once the VM is at work."},
    {"libata.force=", true, false, "A workaround for the old machine's disks.", "Take it out once the VM is at work."},
};

void kernel_arguments(const Facts& f, Findings& out) {
    for (const auto& word : f.kernel_arguments())
        for (const auto& row : kArguments) {
            if (row.prefix ? !word.starts_with(row.word) : word != row.word) continue;
            if (row.serious) out.warn(word, std::string(row.says), std::string(row.to_do));
            else out.note(word, std::string(row.says), std::string(row.to_do));
        }
}

// The lines of boot.ini below [operating systems].
std::vector<std::string> boot_ini_entries(const Facts& f) {
    std::vector<std::string> out;
    for (const auto& file : f.machine.boot.files) {
        if (!iequals(std::string_view(file.path).substr(file.path.find_last_of("/\\:") + 1), "boot.ini")) continue;
        bool inside = false;
        for (const auto& line : split(file.text, '\n')) {
            const auto text = trim(line);
            if (text.starts_with("[")) inside = iequals(text.substr(0, text.find(']') + 1), "[operating systems]");
            else if (inside && !text.empty() && text[0] != ';') out.emplace_back(text);
        }
    }
    return out;
}

void boot_ini(const Facts& f, Findings& out) {
    if (!f.nt || *f.nt >= kVista) return;
    const auto entries = boot_ini_entries(f);
    if (entries.empty())
        return out.not_checked("boot.ini",
                               "It is not in the inventory: which disk, HAL and kernel it names is not known.",
                               f.to_know("", "a copy of boot.ini"));
    if (entries.size() > 1)
        out.note("boot.ini",
                 fmt::format("It has {} entries; the repair changes the one that starts by itself.", entries.size()),
                 "Make sure that the default is the system that is meant.");
    for (const auto& entry : entries) {
        const auto lower = to_lower(entry);
        if (lower.starts_with("scsi(") || lower.starts_with("signature("))
            out.note("boot.ini",
                     "It names a disk by its controller's driver: " + entry.substr(0, entry.find('=')) + ".",
                     "Nothing: the repair writes multi(0)disk(0)rdisk(0)partition(N).");
        for (std::string_view option : {"/hal=", "/kernel="})
            if (auto at = lower.find(option); at != std::string::npos)
                out.warn("boot.ini",
                         "It names a HAL or kernel of its own: " + entry.substr(at, entry.find(' ', at) - at) + ".",
                         "Give --fixhal auto, or take it out on the source.");
    }
    if (entries.size() == 1) out.ok("boot.ini", "One entry.");
}

const Rule kRules[] = {
    {"firmware", Group::Boot, Verdict::Error, "Firmware of the source and of the VM",
     "A system installed for one kind of firmware does not start by the other.", firmware},
    {"firmware-controller", Group::Boot, Verdict::Error, "The VM's controller under its firmware",
     "Firmware starts from a disk only if it has a driver for its controller.", firmware_controller},
    {"secure-boot", Group::Boot, Verdict::Warning, "Secure Boot",
     "Keys that were sealed against it do not open on another machine.", secure_boot},
    {"boot-loader", Group::Boot, Verdict::Error, "Boot loader",
     "It has to find its disk, its kernel and its root again.", boot_loader},
    {"efi-partition", Group::Boot, Verdict::Error, "EFI system partition",
     "UEFI firmware starts loaders from it alone.", esp},
    {"active-partition", Group::Boot, Verdict::Error, "Active partition",
     "The code in the MBR starts the active partition.", active_partition},
    {"bios-boot-partition", Group::Boot, Verdict::Warning, "BIOS boot partition",
     "On a GPT disk GRUB has no other place for its second stage.", bios_boot_partition},
    {"boot-volumes", Group::Boot, Verdict::Error, "Volumes that the repair needs",
     "An initramfs made below an empty /boot would be in the wrong place.", separate_boot},
    {"network-root", Group::Boot, Verdict::Error, "A root over the network", "What is not on a disk is not captured.",
     network_root},
    {"kernel-arguments", Group::Boot, Verdict::Warning, "Kernel arguments for the old machine",
     "What works around one machine's faults can keep another from starting.", kernel_arguments},
    {"boot-ini", Group::Boot, Verdict::Warning, "boot.ini", "It says on which disk and with which HAL Windows starts.",
     boot_ini},
};

}  // namespace

std::span<const Rule> boot_rules() { return kRules; }

}  // namespace slipway::vmscript
