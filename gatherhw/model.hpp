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
enum class AdapterKind { Unknown, Physical, Wireless, Bond, Bridge, Vlan, Virtual, Team };
enum class AddressOrigin { Unknown, Dhcp, Static, LinkLocal, RouterAdvertisement };
enum class PortKind { Serial, Parallel, Sound };
enum class BusKind { Unknown, Ide, Sata, Scsi, Sas, FibreChannel, Iscsi, Usb, Nvme, Virtio, Mmc, Firewire };
enum class Health { Unknown, Good, Failing };                                     // as the device says itself
enum class LicenceChannel { Unknown, Oem, Retail, Volume, Evaluation };           // how the OS was licensed
enum class LogTopic { Other, DiskError, FilesystemError, Memory, MachineCheck };  // of a LogFinding

// The text of a value in XML, JSON and messages: "bios", "needs-recovery", …
std::string_view name_of(Firmware value);
std::string_view name_of(ControllerKind value);
std::string_view name_of(TableKind value);
std::string_view name_of(VolumeKind value);
std::string_view name_of(VolumeState value);
std::string_view name_of(AdapterKind value);
std::string_view name_of(AddressOrigin value);
std::string_view name_of(PortKind value);
std::string_view name_of(BusKind value);
std::string_view name_of(Health value);
std::string_view name_of(LicenceChannel value);
std::string_view name_of(LogTopic value);

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
    std::string signature = {};      // "family-model-stepping", decimal: "6-45-7"
    std::uint32_t mhz = 0;           // nominal
    std::uint32_t possible = 0;      // logical processors the system is prepared for (hot plug); 0: unknown
    bool operator==(const Processors&) const = default;
};

struct MemoryModule {          // SMBIOS type 17 of a slot that is filled
    std::string locator;       // "DIMM_A1"
    std::uint64_t size = 0;    // bytes
    std::string type;          // "DDR3"
    std::uint32_t mhz = 0;     // MT/s, as SMBIOS counts
    std::string manufacturer;  // no serial number is kept
    std::string part_number;
    bool operator==(const MemoryModule&) const = default;
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
    std::string chassis = {};                   // SMBIOS type 3: "rack-mount", "blade", "notebook", "type 42"
    std::string board = {};                     // SMBIOS type 2: "Dell Inc. 0H21J3"
    std::uint64_t memory_limit_bytes = 0;       // most the board takes (SMBIOS type 16); 0: unknown
    std::vector<std::string> acpi_tables = {};  // "APIC", "MSDM", "SLIC", …: sorted; empty: unknown or no ACPI
    std::string time_zone = {};                 // "Europe/Berlin"; Windows: minutes east of UTC, "+120"
    std::optional<bool> clock_is_utc = {};      // the battery clock; absent: unknown
    std::vector<MemoryModule> memory_modules = {};
    bool operator==(const System&) const = default;
};

// An update that is installed, by its number.
struct Hotfix {
    std::string id;           // "KB958644"
    std::string description;  // "Security Update"
    bool operator==(const Hotfix&) const = default;
};

// A file whose exact version decides what may replace it (HAL, kernel, storage drivers).
struct SystemFile {
    std::string path;           // "C:\\Windows\\system32\\hal.dll"
    std::string version;        // "5.1.2600.5512", the fixed file version
    std::string original_name;  // what it was called before it was installed: "halaacpi.dll"
    std::string language;       // of its version resource, hexadecimal: "0409"; "0000": neutral; empty when unknown
    std::uint64_t size = 0;     // bytes
    bool operator==(const SystemFile&) const = default;
};

struct OperatingSystem {
    std::string family;            // "linux", "windows"
    std::string id;                // os-release ID: "debian"
    std::string name;              // "Debian GNU/Linux 12 (bookworm)"
    std::string version;           // "12"
    std::string service_level;     // point release or service pack: "12.8", "SP2"
    std::string kernel;            // running kernel: "6.1.0-28-amd64"
    std::string architecture;      // "x86_64"
    std::string init;              // "systemd", "sysvinit", "upstart", …
    std::string build = {};        // "7601", "2600"
    std::string edition = {};      // Windows SKU number of Win32_OperatingSystem, "48"; os-release VARIANT_ID: "server"
    std::string role = {};         // "workstation", "domain-controller", "server"; empty: unknown
    std::string language = {};     // "fr-FR", "040c"
    std::string system_root = {};  // "C:\\Windows"; empty on Linux
    std::string hal = {};          // hardware ID of the Windows HAL: "acpiapic_up"
    std::optional<bool> multiprocessor = {};  // the kernel in use is for several processors
    std::optional<bool> pae = {};
    LicenceChannel licence = LicenceChannel::Unknown;
    std::string licence_evidence = {};      // why: "product ID of an OEM channel"; never a key
    std::optional<bool> hibernated = {};    // an image of a suspended system waits to be resumed
    std::string hibernation_evidence = {};  // "/dev/sda2: S1SUSPEND", "C:\\hiberfil.sys"
    std::optional<bool> fast_startup = {};  // Windows 8 and later: a plain shutdown leaves it suspended
    std::vector<Hotfix> hotfixes = {};
    std::vector<SystemFile> system_files = {};
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
    BusKind bus = BusKind::Unknown;
    // What it, or a partition of it, is a part of: "ldm" (Windows dynamic disk), "storage-spaces", "md", "lvm",
    // "multipath", "bios-raid", "zfs", "btrfs", "bcache", "drbd"; sorted, once each.
    std::vector<std::string> member_of = {};
    std::string multipath = {};                   // name of the multipath device that this is a path of
    std::optional<bool> san = {};                 // behind Fibre Channel, iSCSI or the like; absent: unknown
    Health health = Health::Unknown;              // SMART, or what the system says of it
    std::string health_evidence = {};             // "SMART: threshold exceeded", "Win32_DiskDrive Status Pred Fail"
    std::optional<std::uint64_t> io_errors = {};  // commands that failed since the system started
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
    std::string detail;                      // RAID level, volume group, …
    std::optional<std::uint64_t> free = {};  // bytes that users may still fill; absent: unknown
    std::uint32_t cluster = 0;               // bytes of an allocation unit; 0: unknown
    std::string encryption = {};             // "luks", "bitlocker", "efs", "fscrypt"; empty: none seen
    std::optional<bool> compressed = {};     // NTFS or btrfs compression of the whole volume
    std::optional<bool> deduplicated = {};
    std::optional<bool> quotas = {};         // are kept
    std::optional<bool> has_errors = {};     // the file system has noted errors of its own: a check is due
    std::string last_mount_point = {};       // as the file system remembers it; empty: unknown
    std::string volume_id = {};              // Windows: "{0a3e595a-00d7-11e3-86ca-806e6f6e6963}"
    std::optional<bool> boot_volume = {};    // Windows: holds %SystemRoot%
    std::optional<bool> system_volume = {};  // Windows: holds the boot loader
    std::optional<bool> page_file = {};      // holds one
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
    std::optional<bool> pxe_capable;        // a guess
    std::string pxe_evidence;               // why it is guessed
    std::string description = {};           // "Intel(R) PRO/1000 MT Desktop Adapter"
    std::string connection = {};            // Windows: "Local Area Connection"; NetworkManager: the profile's name
    BusKind bus = BusKind::Unknown;         // Usb, Virtio, Firewire; Unknown is PCI or none
    std::vector<std::string> members = {};  // adapters that a bond, team or bridge joins
    std::string master = {};  // the bond, team or bridge it is a member of; "unknown": one, not said which
    std::string mode = {};    // of a bond or team: "active-backup", "802.3ad"
    std::optional<std::uint32_t> vlan = {};     // the VLAN's number, 0…4095
    std::string parent = {};                    // a VLAN's adapter
    std::optional<bool> iscsi_boot = {};        // the firmware booted from an iSCSI disk through it (iBFT)
    std::optional<bool> virtual_function = {};  // SR-IOV: a part of a card that others use too
    std::uint32_t mtu = 0;                      // bytes; 0: unknown
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
    std::string start;         // "enabled", "masked", "sysv"
    std::string wanted_by;     // "multi-user.target", "rc2.d"
    std::string command;       // ExecStart or script, when readable
    std::string state = {};    // "running", "stopped"; empty: unknown
    std::string account = {};  // Windows: "LocalSystem"; systemd: User=
    bool operator==(const Service&) const = default;
};

struct Driver {  // a kernel module (NT: a driver service) in use
    std::string name;
    std::uint64_t size = 0;  // bytes in memory
    std::uint32_t references = 0;
    std::vector<std::string> used_by;
    std::string start;  // NT: boot, system, auto, demand, disabled; empty on Linux
    std::string description = {};
    std::string path = {};     // of its file
    std::string version = {};  // of its file or module
    std::string state = {};    // "running", "stopped"; empty: in use, as all of Linux's are
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
    std::string loader;                     // "grub2", "grub-legacy", "systemd-boot", "ntldr", "bootmgr", …
    std::string kernel_command_line;        // of the running kernel
    std::string root;                       // its root= value
    std::vector<ConfigurationFile> files;   // grub.cfg, default/grub, boot.ini; each at most 1 MiB
    std::string default_entry = {};         // what it starts by itself, as it names it: "0", "Debian GNU/Linux"
    std::string default_kernel = {};        // "/boot/vmlinuz-6.1.0-28-amd64", where that can be told
    std::vector<std::string> kernels = {};  // versions with a file in /boot, ascending
    std::string firmware_entry = {};        // UEFI: what the firmware started this time: "debian"
    bool operator==(const BootConfiguration&) const = default;
};

struct UsbDevice {
    std::string address;  // "1-1.2"
    std::uint16_t vendor = 0;
    std::uint16_t product = 0;
    std::string manufacturer;
    std::string name;
    std::string driver;
    std::vector<std::string> classes =
        {};  // two hexadecimal digits each: device, then interfaces; "03" HID, "0b" card reader
    bool operator==(const UsbDevice&) const = default;
};

// Every PCI function, also those that other lists tell more of.
struct PciFunction {
    PciId id;
    std::string driver;  // empty: none bound
    std::string vendor;  // names, where the source has them
    std::string name;
    bool operator==(const PciFunction&) const = default;
};

struct TapeDrive {     // and changers
    std::string name;  // "st0", "\\\\.\\Tape0"
    std::string vendor;
    std::string model;
    std::string controller;  // StorageController::id, empty when unknown
    std::string address;
    bool operator==(const TapeDrive&) const = default;
};

// Errors that the source's own log or counters tell of.
struct LogFinding {
    LogTopic topic = LogTopic::Other;
    std::string device;              // "sda", "EDAC mc0"; empty when not named
    std::uint64_t count = 0;         // in the part of the log that was read
    std::string source;              // "/var/log/kern.log", "System"
    std::vector<std::string> lines;  // the last kLogLines, printable, each at most kLogLineBytes
    bool operator==(const LogFinding&) const = default;
};
inline constexpr std::size_t kLogLines = 5, kLogLineBytes = 300;

// Something the probe could not read: the inventory is still good, but says less.
struct Unread {
    std::string what;  // "/sys/firmware/dmi/tables/DMI"
    std::string why;   // "permission denied: run as root"
    bool operator==(const Unread&) const = default;
};

// What an operator said of the machine, over what a tool read (add_facts of reader.hpp).
struct AddedFact {
    std::string what;    // "disk 'sda'", "new volume 'vg0-root'", "system"
    std::string source;  // name of the file it stood in
    bool operator==(const AddedFact&) const = default;
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
    std::vector<PciFunction> pci;  // ascending by slot
    std::vector<TapeDrive> tapes;
    std::vector<LogFinding> log;
    std::vector<std::string> modaliases;  // of every device on every bus, sorted, once each
    std::vector<Unread> unread;
    std::vector<AddedFact> added = {};
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
// What a partition is for by its type: neither needs a file system that is mounted.
bool is_efi_system_partition(const Partition& partition);
bool is_bios_boot_partition(const Partition& partition);
// Addresses (the burnt-in one, else the one in use) that more than one physical adapter has; sorted, once each.
std::vector<std::string> shared_macs(const Inventory& inventory);

}  // namespace slipway::gatherhw
