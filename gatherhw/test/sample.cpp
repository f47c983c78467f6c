// SPDX-License-Identifier: GPL-3.0-or-later
#include "gatherhw/test/sample.hpp"

namespace slipway::gatherhw {

namespace {

PciId pci(std::string slot, std::uint16_t vendor, std::uint16_t device, std::uint32_t class_code) {
    return {std::move(slot), vendor, device, 0x1af4, 0x1100, class_code, "pci:v00008086d00002922sv*"};
}

Disk disk() {
    Disk d{.name = "sda",
           .path = "/dev/sda",
           .vendor = "ATA",
           .model = "QEMU HARDDISK",
           .serial = "QM00001",
           .wwn = "0x5000c50015ea71ac",
           .firmware = "2.5+",
           .size = 4ull << 30,
           .logical_sector = 512,
           .physical_sector = 4096,
           .geometry = Geometry{522, 255, 63},
           .controller = "controller0",
           .address = "2:0:0:0",
           .removable = true,
           .read_only = true,
           .rotational = true,
           .table = TableKind::Mbr,
           .disk_id = "0x1a2b3c4d"};
    d.partitions = {{1, "sda1", 1 << 20, 3ull << 30, "0x83", "first <&> \"one\"", "1a2b3c4d-01", true}};
    return d;
}

NetworkAdapter adapter() {
    return {.name = "enp3s0",
            .kind = AdapterKind::Physical,
            .mac = "52:54:00:12:34:56",
            .permanent_mac = "52:54:00:12:34:57",
            .driver = "e1000",
            .pci = pci("0000:00:03.0", 0x8086, 0x100e, 0x020000),
            .speed_mbit = 1000,
            .link = true,
            .configuration = AddressOrigin::Static,
            .evidence = "/etc/network/interfaces: iface enp3s0 inet static",
            .addresses = {{"10.0.0.5", 24, AddressOrigin::Static}, {"fe80::1", 64, AddressOrigin::LinkLocal}},
            .gateway = "10.0.0.1",
            .dns = {"10.0.0.1", "10.0.0.2"},
            .pxe_capable = true,
            .pxe_evidence = "expansion ROM"};
}

}  // namespace

Inventory full_inventory() {
    Inventory i;
    i.program = "gatherhw 0.1.0";
    i.collected = "2026-11-23T20:04:11Z";
    i.system = {"Acme",         "Server 9",
                "S/N 1",        "7b3ba6b6-3b1a-4d6f-9bd3-0123456789ab",
                "poseidon",     "SeaBIOS",
                "1.16",         "04/01/2014",
                2ull << 30,     (2ull << 30) - 12345,
                Firmware::Uefi, false,
                "kvm",          {"GenuineIntel", "Xeon", 2, 8, 16, true, {"fpu", "lm", "vmx"}}};
    i.os = {"linux", "debian", "Debian GNU/Linux 12 (bookworm)", "12", "12.8", "6.1.0-28-amd64", "x86_64", "systemd"};
    i.controllers = {{"controller0", ControllerKind::Ahci, "ahci", pci("0000:00:1f.2", 0x8086, 0x2922, 0x010601)}};
    i.disks = {disk()};
    i.volumes = {{"sda1",
                  "/dev/sda1",
                  VolumeKind::Partition,
                  {"sda"},
                  "ext4",
                  "root",
                  "6f1c-uuid",
                  3ull << 30,
                  1ull << 30,
                  VolumeState::Clean,
                  true,
                  {"/", "/mnt/with blank"},
                  "UUID=6f1c-uuid",
                  "errors=remount-ro",
                  "x"}};
    i.network = {adapter()};
    i.video = {{"VGA", "bochs-drm", pci("0000:00:02.0", 0x1234, 0x1111, 0x030000)}};
    i.ports = {{PortKind::Serial, "ttyS0", "16550A at 0x3f8 irq 4"}, {PortKind::Sound, "card0", "HDA Intel"}};
    i.optical = {{"sr0", "/dev/sr0", "QEMU DVD-ROM"}};
    i.services = {{"ssh.service", "OpenBSD Secure Shell server", "enabled", "multi-user.target", "/usr/sbin/sshd -D"}};
    i.drivers = {{"ahci", 49152, 2, {"libahci"}, "boot"}};
    i.autorun = {{"rc.local", "/opt/x --start", "/etc/rc.local"}};
    i.boot = {"grub2",
              "BOOT_IMAGE=/vmlinuz root=UUID=6f1c-uuid ro",
              "UUID=6f1c-uuid",
              {{"/boot/grub/grub.cfg", "set default=0\n\tmenuentry 'x' {\r\n}\n"}}};
    i.usb = {{"1-1.2", 0x0627, 0x0001, "QEMU", "Tablet", "usbhid"}};
    i.modaliases = {"acpi:PNP0501:", "pci:v00008086d00002922sv00001AF4sd00001100bc01sc06i01"};
    i.unread = {{"/sys/firmware/dmi/tables/DMI", "Permission denied: run as root"}};
    return i;
}

}  // namespace slipway::gatherhw
