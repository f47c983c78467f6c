// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/test/rule_rows.hpp"

namespace slipway::vmscript {

using namespace gatherhw;

namespace {

Volume& root(Inventory& i) { return i.volumes[0]; }

void add_esp(Inventory& i) {
    i.system.firmware = Firmware::Uefi;
    i.disks[0].partitions[1].type = "0xef";
}

}  // namespace

std::vector<RuleRow> linux_rows() {
    return {
        // ---- inventory, processor, memory
        {"inventory", Verdict::Warning, "run as root",
         [](auto& i, auto&, auto&) {
             i.unread = {{"/dev/sda", "run as root"}};
         }},
        {"inventory", Verdict::Warning, "Not known: lshw has none",
         [](auto& i, auto&, auto&) {
             i.program = "gatherhw 1.0 --import lshw";
             i.unread = {{"boot configuration", "lshw has none"}};
         }},
        {"inventory-facts", Verdict::Note, "system, new volume 'vg0-root'",
         [](auto& i, auto&, auto&) {
             i.added = {{"system", "facts.xml"}, {"new volume 'vg0-root'", "facts.xml"}};
         }},
        {"inventory-age", Verdict::Note, "31 days ago",
         [](auto& i, auto&, auto& a) {
             i.collected = "2026-02-28T23:00:00Z";
             a.now = 1774915200;  // 2026-03-31
         }},
        {"inventory-age", Verdict::Ok, "Taken on 2026-03-01",
         [](auto& i, auto&, auto& a) {
             i.collected = "2026-03-01T00:00:00Z";
             a.now = 1774915200;
         }},
        {"source-is-virtual", Verdict::Note, "virtual machine already",
         [](auto& i, auto&, auto&) { i.system.hypervisor = "vmware"; }},
        {"log-memory", Verdict::Warning, "3 lines",
         [](auto& i, auto&, auto&) {
             i.log = {{LogTopic::Memory, "EDAC mc0", 3, "/var/log/kern.log", {"CE memory read error"}}};
         }},
        {"log-other", Verdict::Note, "7 lines",
         [](auto& i, auto&, auto&) {
             i.log = {{LogTopic::Other, "", 7, "System", {"Fan failed"}}};
         }},
        {"architecture", Verdict::Error, "x86", [](auto& i, auto&, auto&) { i.os.architecture = "aarch64"; }},
        {"architecture", Verdict::Warning, "made", [](auto& i, auto&, auto&) { i.os.architecture = ""; }},
        {"processor-count", Verdict::Warning, "The VM gets 64",
         [](auto& i, auto&, auto&) { i.system.processors.threads = 96; }},
        {"processor-count", Verdict::NotChecked, "the VM gets one",
         [](auto& i, auto&, auto&) { i.system.processors.threads = 0; }},
        {"processor-host", Verdict::Warning, "The VM host has 1",
         [](auto&, auto& s, auto&) { s.target_processors = 1; }},
        {"processor-level", Verdict::Warning, "x86-64-v2",
         [](auto& i, auto&, auto&) { i.os.id = "rocky", i.os.version = "9.4"; }},
        {"processor-level", Verdict::Warning, "x86-64-v3",
         [](auto& i, auto&, auto&) { i.os.id = "rhel", i.os.version = "10"; }},
        {"nested-virtualisation", Verdict::Warning, "virtual machines itself",
         [](auto& i, auto&, auto&) {
             i.services.push_back({"libvirtd.service", "", "enabled", "", ""});
         }},
        {"agent-processor", Verdict::Error, "32 bits",
         [](auto& i, auto&, auto&) {
             i.system.processors.is_64bit = false;
             i.system.processors.flags = {"fpu", "pae"};
         }},
        {"agent-processor", Verdict::NotChecked, "not known",
         [](auto& i, auto&, auto&) { i.system.processors.is_64bit = false; }},
        {"memory", Verdict::Error, "192 MiB", [](auto& i, auto&, auto&) { i.system.memory_bytes = 96ull << 20; }},
        {"memory", Verdict::Error, "not known", [](auto& i, auto&, auto&) { i.system.memory_bytes = 0; }},
        {"memory-reduced", Verdict::Note, "Less than half", [](auto&, auto& s, auto&) { s.memory_mib = 512; }},
        {"memory-host", Verdict::Error, "1024 MiB free", [](auto&, auto& s, auto&) { s.target_memory_mib = 1024; }},
        {"memory-system", Verdict::Warning, "asks for 1536 MiB",
         [](auto& i, auto& s, auto&) {
             i.os.id = "rocky", i.os.version = "8.10";
             s.memory_mib = 1024;
         }},
        {"memory-uefi", Verdict::Warning, "under a BIOS",
         [](auto& i, auto& s, auto&) {
             add_esp(i);
             s.memory_mib = 256;
         }},
        {"memory-32bit", Verdict::Note, "4096 MiB",
         [](auto& i, auto&, auto&) {
             i.os.architecture = "i686";
             i.system.memory_bytes = 16ull << 30;
         }},
        {"memory-arguments", Verdict::Warning, "huge pages",
         [](auto& i, auto&, auto&) { i.boot.kernel_command_line += " hugepages=800"; }},
        {"memory-arguments", Verdict::Note, "that much memory",
         [](auto& i, auto&, auto&) { i.boot.kernel_command_line += " mem=1G"; }},
        // ---- disks
        {"excluded-drives", Verdict::Error, "names no volume",
         [](auto&, auto& s, auto&) { s.excluded_drives = {"G:"}; }},
        {"excluded-drives", Verdict::Error, "holds the system",
         [](auto&, auto& s, auto&) { s.excluded_drives = {"/"}; }},
        {"excluded-drives", Verdict::Error, "only whole partitions",
         [](auto& i, auto& s, auto&) {
             i.volumes.push_back({.name = "vg-data", .kind = VolumeKind::Lvm, .backing = {"sdb1"}});
             s.excluded_drives = {"vg-data"};
         }},
        {"usb-disk", Verdict::Ok, "a USB disk", [](auto& i, auto&, auto&) { i.disks[1].controller = "controller1"; }},
        {"disk-size", Verdict::Error, "2040 GB", [](auto& i, auto&, auto&) { i.disks[1].size = 2041 * kGb; }},
        {"disk-size", Verdict::Error, "not known", [](auto& i, auto&, auto&) { i.disks[1].size = 0; }},
        {"disk-ide-limit", Verdict::Error, "127 GB",
         [](auto& i, auto& s, auto&) {
             i.disks[1].size = 128 * kGb;
             s.controller = ControllerChoice::Ide;
         }},
        {"disk-count", Verdict::Error, "nothing to migrate",
         [](auto& i, auto&, auto&) {
             i.disks.clear();
             i.volumes.clear();
         }},
        {"disk-count", Verdict::Error, "takes 7",
         [](auto& i, auto&, auto&) {
             while (i.disks.size() < 8) i.disks.push_back(i.disks[1]);
         }},
        {"sector-size", Verdict::Error, "4096 bytes", [](auto& i, auto&, auto&) { i.disks[1].logical_sector = 4096; }},
        {"alignment", Verdict::Note, "multiple of 4096",
         [](auto& i, auto&, auto&) { i.disks[0].partitions[0].offset = 63 * 512; }},
        {"geometry", Verdict::Ok, "64 heads of 32",
         [](auto& i, auto&, auto&) {
             i.disks[0].geometry = Geometry{20480, 64, 32};
         }},
        {"partition-table", Verdict::Warning, "could not be read",
         [](auto& i, auto&, auto&) { i.disks[1].table = TableKind::Unknown; }},
        {"disk-identity", Verdict::Note, "2 disks have it", [](auto& i, auto&, auto&) { i.disks[1].serial = "SN1"; }},
        {"disk-signature", Verdict::Warning, "same signature",
         [](auto& i, auto&, auto&) { i.disks[0].disk_id = "0x1A2B3C4D", i.disks[1].disk_id = "0x1a2b3c4d"; }},
        {"disk-read-only", Verdict::Note, "write protected",
         [](auto& i, auto&, auto&) { i.disks[1].read_only = true; }},
        {"disk-health", Verdict::Warning, "SMART",
         [](auto& i, auto&, auto&) {
             i.disks[1].health = Health::Failing, i.disks[1].health_evidence = "SMART: threshold exceeded";
         }},
        {"disk-health", Verdict::Note, "5 commands failed", [](auto& i, auto&, auto&) { i.disks[1].io_errors = 5; }},
        {"log-disk", Verdict::Warning, "12 lines",
         [](auto& i, auto&, auto&) {
             i.log = {{LogTopic::DiskError, "sda", 12, "/var/log/kern.log", {"I/O error, dev sda"}}};
         }},
        {"boot-disk", Verdict::Warning, "lies on sdb",
         [](auto& i, auto&, auto&) { root(i).name = "sdb1", root(i).backing = {"sdb"}; }},
        {"dynamic-disk", Verdict::Warning, "dynamic disk",
         [](auto& i, auto&, auto&) { i.disks[1].partitions[0].type = "0x42"; }},
        {"dynamic-disk", Verdict::Warning, "dynamic disk",
         [](auto& i, auto&, auto&) { i.disks[1].member_of = {"ldm"}; }},
        {"storage-spaces", Verdict::Warning, "Storage Spaces",
         [](auto& i, auto&, auto&) { i.disks[1].member_of = {"storage-spaces"}; }},
        {"bios-raid", Verdict::Error, "mainboard", [](auto& i, auto&, auto&) { i.disks[1].member_of = {"bios-raid"}; }},
        {"zfs", Verdict::Warning, "ZFS pool", [](auto& i, auto&, auto&) { i.disks[1].member_of = {"zfs"}; }},
        {"layered-storage", Verdict::Warning, "drbd", [](auto& i, auto&, auto&) { i.disks[1].member_of = {"drbd"}; }},
        {"members-left-out", Verdict::Error, "left out: sdb",
         [](auto& i, auto& s, auto&) {
             i.volumes.push_back({.name = "vg-data", .kind = VolumeKind::Lvm, .backing = {"sda2", "sdb1"}});
             s.excluded_drives = {"/dev/sdb"};
         }},
        {"raid", Verdict::Note, "raid1",
         [](auto& i, auto&, auto&) {
             i.volumes.push_back({.name = "md0",
                                  .kind = VolumeKind::Md,
                                  .backing = {"sda2", "sdb1"},
                                  .filesystem = "ext4",
                                  .detail = "raid1"});
         }},
        {"lvm", Verdict::Ok, "looked through",
         [](auto& i, auto&, auto&) {
             i.volumes.push_back({.name = "vg-x", .kind = VolumeKind::Lvm, .backing = {"sdb1"}, .filesystem = "ext4"});
         }},
        {"multipath", Verdict::Warning, "one path", [](auto& i, auto&, auto&) { i.disks[1].multipath = "mpatha"; }},
        {"multipath", Verdict::Warning, "one path",
         [](auto& i, auto&, auto&) { i.volumes[2].kind = VolumeKind::Multipath; }},
        {"san-disk", Verdict::Warning, "A LUN", [](auto& i, auto&, auto&) { i.disks[1].bus = BusKind::FibreChannel; }},
        {"san-driver", Verdict::Warning, "one path",
         [](auto& i, auto&, auto&) {
             i.drivers = {{"emcp", 1, 1, {}, ""}};
         }},
        // ---- file systems
        {"root", Verdict::Error, "not known", [](auto& i, auto&, auto&) { root(i).mount_points = {"/mnt"}; }},
        {"root", Verdict::Error, "not among",
         [](auto& i, auto&, auto&) { root(i).name = "dm-7", root(i).backing = {"network-disk"}; }},
        {"root", Verdict::Error, "does not mount", [](auto& i, auto&, auto&) { root(i).filesystem = "reiserfs"; }},
        {"root", Verdict::Warning, "not tried", [](auto& i, auto&, auto&) { root(i).filesystem = "nilfs2"; }},
        {"root", Verdict::NotChecked, "not known", [](auto& i, auto&, auto&) { root(i).filesystem = ""; }},
        {"hibernated", Verdict::Error, "S1SUSPEND",
         [](auto& i, auto&, auto&) { i.os.hibernated = true, i.os.hibernation_evidence = "/dev/sda2: S1SUSPEND"; }},
        {"hibernated", Verdict::Warning, "hibernated system",
         [](auto& i, auto&, auto&) { i.volumes[1].state = VolumeState::Hibernated; }},
        {"volume-dirty", Verdict::Warning, "sector by sector",
         [](auto& i, auto&, auto&) { i.volumes[2].state = VolumeState::NeedsRecovery; }},
        {"volume-errors", Verdict::Warning, "errors of its own",
         [](auto& i, auto&, auto&) { i.volumes[2].has_errors = true; }},
        {"luks", Verdict::Warning, "nothing compresses",
         [](auto& i, auto&, auto&) { i.volumes[2].filesystem = "luks"; }},
        {"luks", Verdict::Warning, "needs its key", [](auto& i, auto&, auto&) { root(i).kind = VolumeKind::Crypt; }},
        {"bitlocker", Verdict::Warning, "no TPM", [](auto& i, auto&, auto&) { i.volumes[2].filesystem = "BitLocker"; }},
        {"file-encryption", Verdict::Note, "encrypted by the system",
         [](auto& i, auto&, auto&) { i.volumes[2].encryption = "fscrypt"; }},
        {"file-system-unknown", Verdict::Note, "not known",
         [](auto& i, auto&, auto&) { i.volumes[2].filesystem = ""; }},
        {"cluster-file-system", Verdict::Warning, "machines share",
         [](auto& i, auto&, auto&) { i.volumes[2].filesystem = "ocfs2"; }},
        {"repair-space", Verdict::Warning, "50.0 MiB are free",
         [](auto& i, auto&, auto&) { root(i).size = 1ull << 30, root(i).used = (1ull << 30) - (50ull << 20); }},
        {"repair-space", Verdict::Ok, "GiB are free", [](auto& i, auto&, auto&) { root(i).free = 3ull << 30; }},
        {"nearly-full", Verdict::Note, "full to 98 %",
         [](auto& i, auto&, auto&) { i.volumes[2].size = 1000000, i.volumes[2].used = 989000; }},
        {"fstab-left-out", Verdict::Warning, "/etc/fstab mounts it",
         [](auto& i, auto&, auto&) {
             i.disks[1].controller = "controller1";
             i.volumes[2].fstab_spec = "/dev/sdb1";
         }},
        {"fstab-left-out", Verdict::Warning, "/etc/fstab mounts it",
         [](auto& i, auto& s, auto&) {
             s.excluded_drives = {"/srv"};
             i.volumes[3].fstab_spec = "UUID=1";
         }},
        {"fstab-names", Verdict::Ok, "by UUID", [](auto& i, auto&, auto&) { root(i).fstab_spec = "/dev/sda1"; }},
        {"deduplication", Verdict::Note, "deduplicated",
         [](auto& i, auto&, auto&) { i.volumes[2].deduplicated = true; }},
        // ---- boot
        {"firmware", Verdict::Warning, "BIOS", [](auto& i, auto&, auto&) { i.system.firmware = Firmware::Unknown; }},
        {"firmware", Verdict::Ok, "UEFI firmware too", [](auto& i, auto&, auto&) { add_esp(i); }},
        {"firmware-controller", Verdict::Error, "finds no disk",
         [](auto& i, auto& s, auto&) {
             add_esp(i);
             s.controller = ControllerChoice::Scsi;
         }},
        {"secure-boot", Verdict::Warning, "signatures",
         [](auto& i, auto&, auto&) {
             add_esp(i);
             i.system.secure_boot = true;
         }},
        {"secure-boot", Verdict::NotChecked, "not known", [](auto& i, auto&, auto&) { add_esp(i); }},
        {"boot-loader", Verdict::Error, "block numbers", [](auto& i, auto&, auto&) { i.boot.loader = "lilo"; }},
        {"boot-loader", Verdict::Warning, "does not know", [](auto& i, auto&, auto&) { i.boot.loader = "refind"; }},
        {"efi-partition", Verdict::Error, "None of the disks",
         [](auto& i, auto&, auto&) { i.system.firmware = Firmware::Uefi; }},
        {"efi-partition", Verdict::Error, "left out",
         [](auto& i, auto& s, auto&) {
             add_esp(i);
             s.excluded_drives = {"sda2"};
         }},
        {"bios-boot-partition", Verdict::Warning, "without a BIOS boot partition",
         [](auto& i, auto&, auto&) { i.disks[0].table = TableKind::Gpt; }},
        {"boot-volumes", Verdict::Error, "it is left out",
         [](auto& i, auto& s, auto&) {
             i.volumes[3].mount_points = {"/boot"};
             s.excluded_drives = {"sdb2"};
         }},
        {"network-root", Verdict::Error, "from the network",
         [](auto& i, auto&, auto&) { i.boot.kernel_command_line = "root=/dev/nfs ip=dhcp"; }},
        {"kernel-arguments", Verdict::Warning, "switched off",
         [](auto& i, auto&, auto&) { i.boot.kernel_command_line += " acpi=off"; }},
        {"kernel-arguments", Verdict::Note, "by number",
         [](auto& i, auto&, auto&) { i.boot.kernel_command_line += " isolcpus=2-3"; }},
        // ---- operating system
        {"os", Verdict::Error, "Linux and Windows", [](auto& i, auto&, auto&) { i.os.family = "freebsd"; }},
        {"os", Verdict::Warning, "own tools", [](auto& i, auto&, auto&) { i.os.id = "rocky"; }},
        {"os", Verdict::Warning, "not among", [](auto& i, auto&, auto&) { i.os.id = "slackware"; }},
        {"os", Verdict::NotChecked, "Which distribution", [](auto& i, auto&, auto&) { i.os.id = ""; }},
        {"initramfs", Verdict::Warning, "not known", [](auto& i, auto&, auto&) { i.boot.files.clear(); }},
        {"kernel", Verdict::Error, "before 2.6", [](auto& i, auto&, auto&) { i.os.kernel = "2.4.21-4.EL"; }},
        {"kernel", Verdict::Warning, "2.6.25",
         [](auto& i, auto& s, auto&) {
             i.os.kernel = "2.6.18-8.el5";
             s.controller = ControllerChoice::Virtio;
         }},
        {"kernel", Verdict::Warning, "clouds", [](auto& i, auto&, auto&) { i.os.kernel = "6.1.0-28-cloud-amd64"; }},
        {"boot-proof", Verdict::Warning, "no boot proof", [](auto& i, auto&, auto&) { i.os.init = "runit"; }},
        {"foreign-modules", Verdict::Note, "does not come with",
         [](auto& i, auto&, auto&) {
             i.drivers = {{"vmmon", 1, 1, {}, ""}};
         }},
        {"clock", Verdict::Note, "local time", [](auto& i, auto&, auto&) { i.system.clock_is_utc = false; }},
    };
}

}  // namespace slipway::vmscript
