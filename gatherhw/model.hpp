// SPDX-License-Identifier: GPL-3.0-or-later
// What is known about one machine: pure data, the same whatever probe filled it. Written as XML by
// writer.hpp (namespace urn:slipway:inventory:1, inventory.xsd), read back by reader.hpp.
// Text is UTF-8 and empty when unknown; sizes are bytes; a 0 size or count means unknown.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway::gatherhw {

inline constexpr std::string_view kNamespace = "urn:slipway:inventory:1";

enum class Firmware { Unknown, Bios, Uefi };
enum class ControllerKind { Unknown, Ide, Ahci, Scsi, Raid, Nvme, Virtio, Usb };
enum class TableKind { Unknown, None, Mbr, Gpt };  // Unknown: the disk could not be read
enum class VolumeKind { Unknown, Partition, Disk, Lvm, Md, Crypt, Multipath };
enum class VolumeState { Unknown, Clean, NeedsRecovery, Hibernated };
enum class AdapterKind { Unknown, Physical, Wireless, Bond, Bridge, Vlan, Virtual };
enum class AddressOrigin { Unknown, Dhcp, Static, LinkLocal, RouterAdvertisement };
enum class PortKind { Serial, Parallel, Sound };

// The text of a value in XML, JSON and messages: "bios", "needs-recovery", …
std::string_view name_of(Firmware value);
std::string_view name_of(ControllerKind value);
std::string_view name_of(TableKind value);
std::string_view name_of(VolumeKind value);
std::string_view name_of(VolumeState value);
std::string_view name_of(AdapterKind value);
std::string_view name_of(AddressOrigin value);
std::string_view name_of(PortKind value);

struct PciId {
    std::string slot;  // "0000:00:1f.2"
    std::uint16_t vendor = 0;
    std::uint16_t device = 0;
    std::uint16_t subsystem_vendor = 0;
    std::uint16_t subsystem_device = 0;
    std::uint32_t class_code = 0;  // 24 bits: class, subclass, interface
    std::string modalias;          // "pci:v00008086d…", as the kernel matches drivers
    bool operator==(const PciId&) const = default;
};

struct Processors {
    std::string vendor;              // "GenuineIntel"
    std::string model;               // "Intel(R) Xeon(R) CPU E5-2620 v4 @ 2.10GHz"
    std::uint32_t sockets = 0;       // physical packages
    std::uint32_t cores = 0;         // of all packages
    std::uint32_t threads = 0;       // logical processors in use
    bool is_64bit = false;           // long mode
    std::vector<std::string> flags;  // as /proc/cpuinfo has them
    bool operator==(const Processors&) const = default;
};

struct System {
    std::string manufacturer;  // SMBIOS type 1
    std::string model;
    std::string serial;
    std::string uuid;         // lower case, 8-4-4-4-12; as the firmware and PXE say it
    std::string host_name;    // without domain
    std::string bios_vendor;  // SMBIOS type 0
    std::string bios_version;
    std::string bios_date;
    std::uint64_t memory_bytes = 0;         // fitted (SMBIOS type 17), else what the kernel sees
    std::uint64_t kernel_memory_bytes = 0;  // MemTotal
    Firmware firmware = Firmware::Unknown;
    std::optional<bool> secure_boot;  // absent: not known, or BIOS
    std::string hypervisor;           // "kvm", "vmware", …; empty on metal
    Processors processors;
    bool operator==(const System&) const = default;
};

struct OperatingSystem {
    std::string family;         // "linux", "windows"
    std::string id;             // os-release ID: "debian"
    std::string name;           // "Debian GNU/Linux 12 (bookworm)"
    std::string version;        // "12"
    std::string service_level;  // point release or service pack: "12.8", "SP2"
    std::string kernel;         // running kernel: "6.1.0-28-amd64"
    std::string architecture;   // "x86_64"
    std::string init;           // "systemd", "sysvinit", "upstart", …
    bool operator==(const OperatingSystem&) const = default;
};

struct StorageController {
    std::string id;  // "controller0", what Disk::controller refers to
    ControllerKind kind = ControllerKind::Unknown;
    std::string driver;  // kernel module: "ahci"
    std::optional<PciId> pci;
    bool operator==(const StorageController&) const = default;
};

struct Geometry {  // as the system reports it; large disks saturate
    std::uint64_t cylinders = 0;
    std::uint32_t heads = 0;
    std::uint32_t sectors = 0;
    bool operator==(const Geometry&) const = default;
};

struct Partition {
    std::uint32_t index = 0;   // 1-based number in the table
    std::string name;          // "sda1"
    std::uint64_t offset = 0;  // bytes from the disk's start
    std::uint64_t length = 0;  // bytes
    std::string type;          // MBR "0x83"; GPT type GUID, lower case; empty when not readable
    std::string label;         // GPT name
    std::string uuid;          // PARTUUID
    bool active = false;       // MBR boot flag
    bool operator==(const Partition&) const = default;
};

struct Disk {
    std::string name;  // "sda"
    std::string path;  // "/dev/sda"
    std::string vendor;
    std::string model;
    std::string serial;
    std::string wwn;         // "0x5000c50015ea71ac", "eui.…"
    std::string firmware;    // firmware revision
    std::uint64_t size = 0;  // bytes
    std::uint32_t logical_sector = 512;
    std::uint32_t physical_sector = 512;
    std::optional<Geometry> geometry;
    std::string controller;  // StorageController::id, empty when unknown
    std::string address;     // SCSI "2:0:0:0" or the like on that controller
    bool removable = false;
    bool read_only = false;
    bool rotational = false;
    TableKind table = TableKind::Unknown;
    std::string disk_id;                // MBR signature "0x1a2b3c4d" or GPT disk GUID
    std::vector<Partition> partitions;  // ascending by offset
    bool operator==(const Disk&) const = default;
};

struct Volume {
    std::string name;  // "sda1", "vg0-root", "md0"
    std::string path;  // "/dev/sda1", "/dev/mapper/vg0-root"
    VolumeKind kind = VolumeKind::Unknown;
    std::vector<std::string> backing;  // what it lies on: names of partitions, disks or other volumes
    std::string filesystem;            // "ext4", "swap", "lvm2-member", "linux-raid-member", …
    std::string label;
    std::string uuid;
    std::uint64_t size = 0;             // bytes
    std::optional<std::uint64_t> used;  // bytes; absent when neither mounted nor readable
    VolumeState state = VolumeState::Unknown;
    bool mounted = false;
    std::vector<std::string> mount_points;  // mounted now; else those /etc/fstab gives; swap: "swap"
    std::string fstab_spec;                 // how /etc/fstab names it: "UUID=…", "/dev/sda1"; empty when not in it
    std::string mount_options;
    std::string detail;  // RAID level, volume group, …
    bool operator==(const Volume&) const = default;
};

struct IpAddress {
    std::string address;       // "10.0.0.5", "fe80::1"
    std::uint32_t prefix = 0;  // bits
    AddressOrigin origin = AddressOrigin::Unknown;
    bool operator==(const IpAddress&) const = default;
};

struct NetworkAdapter {
    std::string name;  // "eth0", "enp3s0"
    AdapterKind kind = AdapterKind::Unknown;
    std::string mac;            // "52:54:00:12:34:56", in use now
    std::string permanent_mac;  // burnt in; empty when not readable
    std::string driver;
    std::optional<PciId> pci;
    std::uint32_t speed_mbit = 0;                          // 0: no link or unknown
    bool link = false;                                     // carrier
    AddressOrigin configuration = AddressOrigin::Unknown;  // how IPv4 is set: dhcp, static
    std::string evidence;  // where that was read: "/etc/network/interfaces: iface eth0 inet dhcp"
    std::vector<IpAddress> addresses;
    std::string gateway;  // default route through it
    std::vector<std::string> dns;
    std::optional<bool> pxe_capable;  // a guess
    std::string pxe_evidence;         // why it is guessed
    bool operator==(const NetworkAdapter&) const = default;
};

struct VideoAdapter {
    std::string name;
    std::string driver;
    std::optional<PciId> pci;
    bool operator==(const VideoAdapter&) const = default;
};

struct Port {
    PortKind kind = PortKind::Serial;
    std::string name;    // "ttyS0", "parport0", "card0"
    std::string detail;  // "16550A at 0x3f8 irq 4", sound card name
    bool operator==(const Port&) const = default;
};

struct OpticalDrive {
    std::string name;  // "sr0"
    std::string path;
    std::string model;
    bool operator==(const OpticalDrive&) const = default;
};

struct Service {
    std::string name;  // "ssh.service"
    std::string description;
    std::string start;      // "enabled", "masked", "sysv"
    std::string wanted_by;  // "multi-user.target", "rc2.d"
    std::string command;    // ExecStart or script, when readable
    bool operator==(const Service&) const = default;
};

struct Driver {  // a kernel module (NT: a driver service) in use
    std::string name;
    std::uint64_t size = 0;  // bytes in memory
    std::uint32_t references = 0;
    std::vector<std::string> used_by;
    std::string start;  // NT: boot, system, auto, demand; empty on Linux
    bool operator==(const Driver&) const = default;
};

struct AutorunProgram {
    std::string name;
    std::string command;
    std::string source;  // "/etc/rc.local", "/etc/cron.d/x (@reboot)", "/etc/xdg/autostart/x.desktop"
    bool operator==(const AutorunProgram&) const = default;
};

struct ConfigurationFile {
    std::string path;  // as on the source machine
    std::string text;
    bool operator==(const ConfigurationFile&) const = default;
};

struct BootConfiguration {
    std::string loader;                    // "grub2", "grub-legacy", "systemd-boot", "ntldr", "bootmgr", …
    std::string kernel_command_line;       // of the running kernel
    std::string root;                      // its root= value
    std::vector<ConfigurationFile> files;  // grub.cfg, default/grub, boot.ini; each at most 1 MiB
    bool operator==(const BootConfiguration&) const = default;
};

struct UsbDevice {
    std::string address;  // "1-1.2"
    std::uint16_t vendor = 0;
    std::uint16_t product = 0;
    std::string manufacturer;
    std::string name;
    std::string driver;
    bool operator==(const UsbDevice&) const = default;
};

// Something the probe could not read: the inventory is still good, but says less.
struct Unread {
    std::string what;  // "/sys/firmware/dmi/tables/DMI"
    std::string why;   // "permission denied: run as root"
    bool operator==(const Unread&) const = default;
};

struct Inventory {
    std::string program;    // "gatherhw 0.1.0"
    std::string collected;  // ISO 8601, UTC
    System system;
    OperatingSystem os;
    std::vector<StorageController> controllers;
    std::vector<Disk> disks;  // in the order the system numbers them
    std::vector<Volume> volumes;
    std::vector<NetworkAdapter> network;
    std::vector<VideoAdapter> video;
    std::vector<Port> ports;
    std::vector<OpticalDrive> optical;
    std::vector<Service> services;
    std::vector<Driver> drivers;
    std::vector<AutorunProgram> autorun;
    BootConfiguration boot;
    std::vector<UsbDevice> usb;
    std::vector<std::string> modaliases;  // of every device on every bus, sorted, once each
    std::vector<Unread> unread;
    bool operator==(const Inventory&) const = default;
};

const Disk* find_disk(const Inventory& inventory, std::string_view name);
const StorageController* find_controller(const Inventory& inventory, std::string_view id);
const Volume* find_volume(const Inventory& inventory, std::string_view name);
// The volumes that name means to an operator: a name or path ("sda2", "/dev/sda2"), a mount point
// ("/var"), a label or "LABEL=…", "UUID=…".
std::vector<const Volume*> volumes_named(const Inventory& inventory, std::string_view name);
// Names of the disks a volume lies on, through LVM, RAID and encryption; sorted, once each.
std::vector<std::string> disks_of(const Inventory& inventory, const Volume& volume);

}  // namespace slipway::gatherhw
