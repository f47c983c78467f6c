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
    d.bus = BusKind::Iscsi;
    d.member_of = {"ldm", "multipath"};
    d.multipath = "mpatha";
    d.san = true;
    d.health = Health::Failing;
    d.health_evidence = "SMART: threshold exceeded";
    d.io_errors = 3;
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
            .pxe_evidence = "expansion ROM",
            .description = "Intel(R) PRO/1000 MT",
            .connection = "Local Area Connection 2",
            .bus = BusKind::Usb,
            .members = {"eth0", "eth1"},
            .master = "bond0",
            .mode = "802.3ad",
            .vlan = 0,
            .parent = "eth2",
            .iscsi_boot = true,
            .virtual_function = false,
            .mtu = 9000};
}

// The facts that not every inventory has.
void add_seldom_facts(Inventory& i) {
    auto& s = i.system;
    s.processors.signature = "6-45-7";
    s.processors.mhz = 2100;
    s.processors.possible = 240;
    s.chassis = "rack-mount";
    s.board = "Acme X1";
    s.memory_limit_bytes = 64ull << 30;
    s.acpi_tables = {"APIC", "SLIC"};
    s.time_zone = "Europe/Berlin";
    s.clock_is_utc = false;
    s.memory_modules = {{"DIMM A1", 1ull << 30, "DDR3", 1333, "Acme", "M393"}};
    auto& os = i.os;
    os.build = "2600";
    os.edition = "48";
    os.role = "domain-controller";
    os.language = "040c";
    os.system_root = "C:\\WINDOWS";
    os.hal = "acpiapic_up";
    os.multiprocessor = true;
    os.pae = false;
    os.licence = LicenceChannel::Oem;
    os.licence_evidence = "product ID";
    os.hibernated = true;
    os.hibernation_evidence = "C:\\hiberfil.sys";
    os.fast_startup = true;
    os.hotfixes = {{"KB958644", "Security Update"}};
    os.system_files = {{"C:\\WINDOWS\\system32\\hal.dll", "5.1.2600.5512", "halaacpi.dll", "0409", 105344}};
    auto& v = i.volumes.at(0);
    v.free = 12345;
    v.cluster = 4096;
    v.encryption = "bitlocker";
    v.compressed = true;
    v.deduplicated = true;
    v.quotas = false;
    v.has_errors = true;
    v.last_mount_point = "/srv";
    v.volume_id = "{0a3e595a-00d7-11e3-86ca-806e6f6e6963}";
    v.boot_volume = true;
    v.system_volume = false;
    v.page_file = true;
    i.services.at(0).state = "running";
    i.services.at(0).account = "LocalSystem";
    auto& d = i.drivers.at(0);
    d.description = "SATA";
    d.path = "system32\\drivers\\ahci.sys";
    d.version = "3.0";
    d.state = "running";
    i.boot.default_entry = "0";
    i.boot.default_kernel = "/boot/vmlinuz-6.1.0-28-amd64";
    i.boot.kernels = {"6.1.0-27-amd64", "6.1.0-28-amd64"};
    i.boot.firmware_entry = "debian";
    i.usb.at(0).classes = {"00", "03"};
    i.pci = {{pci("0000:00:03.0", 0x8086, 0x100e, 0x020000), "e1000", "Intel", "82540EM"}};
    i.tapes = {{"st0", "HP", "Ultrium 3", "controller0", "3:0:0:0"}};
    i.log = {{LogTopic::DiskError, "sda", 7, "/var/log/kern.log", {"I/O error, dev sda, sector 0", "once more"}}};
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
    i.added = {{"system", "facts.xml"}, {"new volume 'vg0-root'", "facts.xml"}};
    add_seldom_facts(i);
    return i;
}

}  // namespace slipway::gatherhw
