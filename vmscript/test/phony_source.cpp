// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/test/phony_source.hpp"

namespace slipway::vmscript {

using namespace gatherhw;

gatherhw::Inventory good_source() {
    Inventory i;
    i.system.host_name = "triton";
    i.system.memory_bytes = 2ull << 30;
    i.system.firmware = Firmware::Bios;
    i.system.processors.threads = 2;
    i.system.processors.is_64bit = true;
    i.os = {"linux", "debian", "Debian GNU/Linux 12 (bookworm)", "12", "12.8", "6.1.0-28-amd64", "x86_64", "systemd"};
    i.controllers = {{"controller0", ControllerKind::Raid, "megaraid_sas", {}},
                     {"controller1", ControllerKind::Usb, "xhci_hcd", {}}};
    Disk sda{.name = "sda",
             .path = "/dev/sda",
             .serial = "SN1",
             .size = 20ull << 30,
             .controller = "controller0",
             .table = TableKind::Mbr};
    sda.partitions = {{.index = 1, .name = "sda1", .offset = 1 << 20, .length = 10ull << 30, .type = "0x83"},
                      {.index = 2, .name = "sda2", .offset = 11ull << 30, .length = 1ull << 30, .type = "0x82"}};
    Disk sdb{.name = "sdb",
             .path = "/dev/sdb",
             .serial = "SN2",
             .size = 8ull << 30,
             .controller = "controller0",
             .table = TableKind::Gpt};
    sdb.partitions = {{.index = 1, .name = "sdb1", .offset = 1 << 20, .length = 4ull << 30},
                      {.index = 2, .name = "sdb2", .offset = 5ull << 30, .length = 2ull << 30}};
    i.disks = {sda, sdb};
    auto volume = [](const char* name, const char* disk, const char* filesystem, const char* point) {
        return Volume{.name = name,
                      .path = std::string("/dev/") + name,
                      .kind = VolumeKind::Partition,
                      .backing = {disk},
                      .filesystem = filesystem,
                      .mounted = true,
                      .mount_points = {point}};
    };
    i.volumes = {volume("sda1", "sda", "ext4", "/"), volume("sda2", "sda", "swap", "swap"),
                 volume("sdb1", "sdb", "ext4", "/var"), volume("sdb2", "sdb", "ext4", "/srv")};
    NetworkAdapter eth{.name = "ens18",
                       .kind = AdapterKind::Physical,
                       .mac = "52:54:00:51:00:01",
                       .link = true,
                       .configuration = AddressOrigin::Static,
                       .pxe_capable = true};
    i.network = {eth};
    i.ports = {{PortKind::Serial, "ttyS0", "16550A"}};
    i.services = {{"smartd.service", "", "enabled", "multi-user.target", ""},
                  {"ssh.service", "", "enabled", "multi-user.target", ""}};
    i.boot = {"grub2",
              "root=/dev/sda1 ro",
              "/dev/sda1",
              {{"/boot/grub/grub.cfg", "set default=0"}, {"/etc/initramfs-tools/initramfs.conf", "MODULES=dep\n"}}};
    return i;
}

gatherhw::Inventory good_windows() {
    auto i = good_source();
    i.system.host_name = "nereus";
    i.os = {.family = "windows",
            .name = "Windows Server 2008 R2",
            .version = "6.1.7601",
            .service_level = "Service Pack 1"};
    i.os.architecture = "amd64";
    i.os.role = "server";
    i.os.system_root = "C:\\Windows";
    i.os.licence = LicenceChannel::Volume;
    i.os.multiprocessor = true;
    const char* letters[] = {"C:", "D:", "E:", "F:"};
    for (std::size_t n = 0; n < i.volumes.size(); ++n) {
        i.volumes[n].filesystem = "ntfs";
        i.volumes[n].mount_points = {letters[n]};
    }
    i.volumes[0].boot_volume = i.volumes[0].system_volume = true;
    i.disks[0].partitions[0].active = true;
    for (auto& d : i.disks)
        for (auto& p : d.partitions)
            p.type = d.table == TableKind::Mbr ? "0x07" : "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7";
    i.services = {{"Dnscache", "DNS Client", "auto", "", ""}};
    i.boot = {"bootmgr", "", "", {}};
    return i;
}

Switches good_switches() {
    Switches s;
    s.command = Command::Generate;
    s.hw_info_file = "triton.xml";
    s.name = "triton";
    s.vm_config_path = "/srv/vm";
    s.virtual_disk_path = "/srv/disks";
    s.vm_host = "hercules";
    return s;
}

}  // namespace slipway::vmscript
