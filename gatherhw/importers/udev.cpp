// SPDX-License-Identifier: GPL-3.0-or-later
// udevadm info --export-db: a paragraph for each device, "P:" its path in /sys, "N:" its node, "E:" properties. It has
// the driver that bound to each device and what blkid saw of each volume, but neither sizes of whole disks nor mounts.
#include <algorithm>
#include <map>
#include <set>

#include <fmt/format.h>

#include "gatherhw/errors.hpp"
#include "gatherhw/importers/importers.hpp"
#include "gatherhw/importers/shared.hpp"
#include "gatherhw/linux/classify.hpp"
#include "gatherhw/linux/parts.hpp"
#include "lib/base/strings.hpp"

namespace slipway::gatherhw {

namespace {

constexpr std::size_t kMaxDevices = 200'000;

struct Device {
    std::string path;  // "/devices/pci0000:00/0000:00:1f.2"
    std::map<std::string, std::string, std::less<>> properties;

    std::string get(std::string_view key) const {
        auto found = properties.find(key);
        return found == properties.end() ? "" : found->second;
    }
    bool is(std::string_view subsystem) const { return get("SUBSYSTEM") == subsystem; }
    std::uint64_t number(std::string_view key) const { return parse_number(get(key)).value_or(0); }
    std::string name() const { return base_name(path); }
    // "\x20" for a blank: udev's _ENC form keeps what the plain one mends.
    std::string unescaped(const std::string& key) const {
        auto text = get(key + "_ENC");
        if (text.empty()) return get(key);
        std::string out;
        for (std::size_t i = 0; i < text.size(); ++i) {
            auto code = text.compare(i, 2, "\\x") == 0 && i + 4 <= text.size()
                            ? parse_number("0x" + text.substr(i + 2, 2))
                            : std::nullopt;
            out += code ? static_cast<char>(*code) : text[i];
            if (code) i += 3;
        }
        return std::string(trim(out));
    }
};

std::vector<Device> read_devices(std::string_view text) {
    std::vector<Device> out;
    while (!text.empty()) {
        auto end = std::min(text.find('\n'), text.size());
        auto line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) line.remove_suffix(1);
        if (line.starts_with("P: ")) {
            if (out.size() == kMaxDevices) break;
            out.push_back({std::string(line.substr(3)), {}});
        } else if (line.starts_with("E: ") && !out.empty()) {
            auto equals = line.find('=');
            if (equals != std::string_view::npos)
                out.back().properties.insert_or_assign(std::string(line.substr(3, equals - 3)),
                                                       std::string(line.substr(equals + 1)));
        }
    }
    return out;
}

// "8086:10D3" as 0x8086 and 0x10d3
void take_pair(const std::string& text, std::uint16_t& first, std::uint16_t& second) {
    auto colon = text.find(':');
    if (colon == std::string::npos) return;
    first = static_cast<std::uint16_t>(parse_number("0x" + text.substr(0, colon)).value_or(0));
    second = static_cast<std::uint16_t>(parse_number("0x" + text.substr(colon + 1)).value_or(0));
}

PciId pci_of(const Device& d) {
    PciId id{.slot = d.get("PCI_SLOT_NAME")};
    take_pair(d.get("PCI_ID"), id.vendor, id.device);
    take_pair(d.get("PCI_SUBSYS_ID"), id.subsystem_vendor, id.subsystem_device);
    id.class_code = static_cast<std::uint32_t>(parse_number("0x" + d.get("PCI_CLASS")).value_or(0)) & 0xffffff;
    id.modalias = d.get("MODALIAS");
    return id;
}

// One key of "dmi:bvnDellInc.:bvr1.2:…:svnDell Inc.:pnPowerEdge:…"
std::string dmi_part(std::string_view alias, std::string_view key) {
    auto at = alias.find(fmt::format(":{}", key));
    if (at == std::string_view::npos) return {};
    at += key.size() + 1;
    return std::string(alias.substr(at, alias.find(':', at) - at));
}

class Importer {
public:
    explicit Importer(std::vector<Device> devices) : devices_(std::move(devices)) {
        for (const auto& d : devices_) by_path_.emplace(d.path, &d);
    }

    Inventory run() {
        for (const auto& d : devices_)
            if (d.is("pci")) pci(d);
        for (const auto& d : devices_) visit(d);
        for (const auto& d : devices_)
            if (d.is("usb") && d.get("DEVTYPE") == "usb_interface") usb_driver(d);
        processors();
        for (auto& d : out_.disks) finish_disk(d);
        note(out_, "operating system", "the udev database names only its kernel's drivers");
        note(out_, "memory", "the udev database does not say how much there is");
        note(out_, "mount points", "the udev database has none");
        note(out_, "network addresses", "the udev database has none");
        tidy(out_);
        return std::move(out_);
    }

private:
    const Device* at(const std::string& path) const {
        auto found = by_path_.find(path);
        return found == by_path_.end() ? nullptr : found->second;
    }
    // The nearest device above that a driver bound to.
    std::string driver_above(std::string path) const {
        for (int depth = 0; depth < 6 && !path.empty(); ++depth) {
            path.resize(path.rfind('/') == std::string::npos ? 0 : path.rfind('/'));
            const auto* d = at(path);
            if (d && !d->get("DRIVER").empty()) return d->get("DRIVER");
        }
        return {};
    }
    std::optional<PciId> pci_above(const std::string& path) const {
        auto slot = last_pci_slot(path);
        for (const auto& f : out_.pci)
            if (!slot.empty() && f.id.slot == slot) return f.id;
        return std::nullopt;
    }

    void visit(const Device& d) {
        if (auto alias = d.get("MODALIAS"); !alias.empty()) out_.modaliases.push_back(alias);
        if (d.is("block")) block(d);
        if (d.is("net")) net(d);
        if (d.is("usb") && d.get("DEVTYPE") == "usb_device") usb(d);
        if (d.is("dmi")) dmi(d.get("MODALIAS"));
        if (d.is("scsi_tape") && d.name().starts_with("st")) tape(d);
        if (d.is("cpu") || d.path.starts_with("/devices/system/cpu/cpu")) cpu(d);
        if (d.is("sound") && d.name().starts_with("card"))
            out_.ports.push_back({PortKind::Sound, d.name(), d.get("ID_MODEL_FROM_DATABASE")});
        // The 8250 driver makes nodes for ports that are not there; those of PNP and PCI are.
        bool real = d.path.starts_with("/devices/pnp") || !last_pci_slot(d.path).empty();
        if (d.is("tty") && d.name().starts_with("ttyS") && real)
            out_.ports.push_back({PortKind::Serial, d.name(), last_pci_slot(d.path)});
    }

    void pci(const Device& d) {
        PciFunction f{pci_of(d), d.get("DRIVER"), d.get("ID_VENDOR_FROM_DATABASE"), d.get("ID_MODEL_FROM_DATABASE")};
        if (f.id.slot.empty()) return;
        if (f.id.class_code >> 16 == 0x03)
            out_.video.push_back({f.name.empty() ? "display controller" : f.name, f.driver, f.id});
        if (f.id.class_code >> 16 == 0x01)
            out_.controllers.push_back(
                {fmt::format("controller{}", out_.controllers.size()), controller_kind_of_class(f.id), f.driver, f.id});
        out_.pci.push_back(std::move(f));
    }

    std::string controller_of(const Device& d) {
        auto id = pci_above(d.path);
        if (!id) return {};
        for (const auto& c : out_.controllers)
            if (c.pci && c.pci->slot == id->slot) return c.id;
        if (d.path.find("/usb") == std::string::npos) return {};
        out_.controllers.push_back(
            {fmt::format("controller{}", out_.controllers.size()), ControllerKind::Usb, d.get("ID_USB_DRIVER"), id});
        return out_.controllers.back().id;
    }

    void block(const Device& d) {
        auto name = d.name();
        if (d.get("DEVTYPE") == "partition") return partition(d);
        if (name.starts_with("sr") || d.get("ID_CDROM") == "1") {
            out_.optical.push_back({name, d.get("DEVNAME"), d.unescaped("ID_MODEL")});
        } else if (name.starts_with("dm-") || name.starts_with("md")) {
            stacked(d);
        } else if (!d.path.starts_with("/devices/virtual/") && !name.starts_with("fd")) {
            disk(d);
        }
    }

    void disk(const Device& d) {
        Disk disk{.name = d.name(), .path = d.get("DEVNAME"), .vendor = d.unescaped("ID_VENDOR")};
        disk.model = d.unescaped("ID_MODEL");
        disk.serial = d.get("ID_SCSI_SERIAL").empty() ? d.get("ID_SERIAL_SHORT") : d.get("ID_SCSI_SERIAL");
        disk.wwn = d.get("ID_WWN_WITH_EXTENSION").empty() ? d.get("ID_WWN") : d.get("ID_WWN_WITH_EXTENSION");
        disk.firmware = d.get("ID_REVISION");
        disk.rotational = d.number("ID_ATA_ROTATION_RATE_RPM") > 1;
        auto table = d.get("ID_PART_TABLE_TYPE");
        disk.table = table == "gpt" ? TableKind::Gpt : table == "dos" ? TableKind::Mbr : TableKind::Unknown;
        disk.disk_id = d.get("ID_PART_TABLE_UUID");
        if (disk.table == TableKind::Mbr && !disk.disk_id.empty()) disk.disk_id = "0x" + disk.disk_id;
        disk.bus = bus_of_path(d.path, driver_above(d.path), d.get("ID_ATA_SATA") == "1");
        auto address = disk_address(d.path);
        disk.address = address;
        if (d.get("DM_MULTIPATH_DEVICE_PATH") == "1") add_member(disk, "multipath");
        disk.controller = controller_of(d);
        disk_path_.emplace(d.path, disk.name);
        if (!d.get("ID_FS_TYPE").empty()) volume(d, VolumeKind::Disk, {}, 0);
        out_.disks.push_back(std::move(disk));
    }

    static std::string disk_address(const std::string& path) {
        for (const auto& part : split(path, '/'))
            if (std::count(part.begin(), part.end(), ':') == 3 && part.find('.') == std::string::npos) return part;
        return {};
    }

    void partition(const Device& d) {
        auto parent = disk_path_.find(d.path.substr(0, d.path.rfind('/')));
        if (parent == disk_path_.end()) return;
        Partition p{.index = static_cast<std::uint32_t>(d.number("ID_PART_ENTRY_NUMBER")), .name = d.name()};
        constexpr std::uint64_t kSector = 512;  // udev counts in these
        auto bytes = [&](std::string_view key) { return std::min(d.number(key), std::uint64_t{1} << 53) * kSector; };
        p.offset = bytes("ID_PART_ENTRY_OFFSET");
        p.length = bytes("ID_PART_ENTRY_SIZE");
        p.type = d.get("ID_PART_ENTRY_TYPE");
        p.label = d.unescaped("ID_PART_ENTRY_NAME");
        p.uuid = d.get("ID_PART_ENTRY_UUID");
        p.active = d.get("ID_PART_ENTRY_FLAGS") == "0x80";
        if (p.type == "0x5" || p.type == "0xf" || p.type == "0x85") return;
        volume(d, VolumeKind::Partition, {parent->second}, p.length);
        for (auto& disk : out_.disks)
            if (disk.name == parent->second && disk.partitions.size() < 1000) {
                disk.partitions.push_back(std::move(p));
                break;  // a name that comes twice is one disk
            }
    }

    void stacked(const Device& d) {
        auto uuid = d.get("DM_UUID");
        auto kind = d.name().starts_with("md")   ? VolumeKind::Md
                    : uuid.starts_with("LVM-")   ? VolumeKind::Lvm
                    : uuid.starts_with("CRYPT-") ? VolumeKind::Crypt
                    : uuid.starts_with("mpath-") ? VolumeKind::Multipath
                                                 : VolumeKind::Unknown;
        volume(d, kind, {}, 0);
    }

    void volume(const Device& d, VolumeKind kind, std::vector<std::string> backing, std::uint64_t size) {
        auto mapped = d.get("DM_NAME");
        Volume v{.name = mapped.empty() ? d.name() : mapped,
                 .path = mapped.empty() ? d.get("DEVNAME") : "/dev/mapper/" + mapped,
                 .kind = kind,
                 .backing = std::move(backing)};
        v.size = size;
        v.filesystem = filesystem_name(d.get("ID_FS_TYPE"));
        v.label = d.unescaped("ID_FS_LABEL");
        v.uuid = d.get("ID_FS_UUID");
        v.encryption = encryption_of_filesystem(v.filesystem);
        v.detail = kind == VolumeKind::Md ? d.get("MD_LEVEL") : d.get("DM_VG_NAME");
        out_.volumes.push_back(std::move(v));
    }

    void finish_disk(Disk& disk) {
        note(out_, "size of disk " + disk.name, "the udev database does not have it");
        for (const auto& p : disk.partitions) add_member(disk, pool_of_partition_type(p.type));
        for (const auto& v : out_.volumes)
            if (v.name == disk.name || std::find(v.backing.begin(), v.backing.end(), disk.name) != v.backing.end())
                add_member(disk, pool_of_filesystem(v.filesystem));
        disk.san = is_san(disk.bus);
    }

    void net(const Device& d) {
        NetworkAdapter a{.name = d.get("INTERFACE")};
        if (a.name.empty() || a.name == "lo") return;
        auto type = d.get("DEVTYPE");
        a.kind = type == "wlan"                               ? AdapterKind::Wireless
                 : type == "bond"                             ? AdapterKind::Bond
                 : type == "bridge"                           ? AdapterKind::Bridge
                 : type == "vlan"                             ? AdapterKind::Vlan
                 : d.path.starts_with("/devices/virtual/net") ? AdapterKind::Virtual
                                                              : AdapterKind::Physical;
        // "enxd4ae52aab8a7": the only place where the database has the address.
        auto named = d.get("ID_NET_NAME_MAC");
        if (named.size() == 15 && named[2] == 'x') a.mac = a.permanent_mac = mac_text(named.substr(3));
        if (a.mac.empty()) note(out_, "MAC address of " + a.name, "the udev database does not have it");
        a.driver = driver_above(d.path);
        a.pci = pci_above(d.path);
        a.description = d.get("ID_MODEL_FROM_DATABASE");
        if (d.path.find("/usb") != std::string::npos) a.bus = BusKind::Usb;
        if (d.path.find("/virtio") != std::string::npos) a.bus = BusKind::Virtio;
        out_.network.push_back(std::move(a));
    }

    void usb(const Device& d) {
        if (d.name().starts_with("usb")) return;  // a root hub
        UsbDevice u{.address = d.name()};
        auto product = split(d.get("PRODUCT"), '/');
        if (product.size() >= 2) take_pair(product[0] + ":" + product[1], u.vendor, u.product);
        u.manufacturer = d.unescaped("ID_VENDOR");
        u.name = d.unescaped("ID_MODEL");
        auto type = split(d.get("TYPE"), '/');
        if (auto n = parse_u64(type.front()); n && *n < 256) u.classes.push_back(fmt::format("{:02x}", *n));
        for (const auto& interface : split(d.get("ID_USB_INTERFACES"), ':'))
            if (interface.size() == 6 && u.classes.size() < 32) u.classes.push_back(interface.substr(0, 2));
        out_.usb.push_back(std::move(u));
    }

    void usb_driver(const Device& d) {
        auto parent = base_name(d.path.substr(0, d.path.rfind('/')));
        for (auto& u : out_.usb)
            if (u.address == parent && u.driver.empty()) u.driver = d.get("DRIVER");
    }

    void tape(const Device& d) {
        TapeDrive t{.name = d.name(), .controller = controller_of(d), .address = disk_address(d.path)};
        t.vendor = d.unescaped("ID_VENDOR");
        t.model = d.unescaped("ID_MODEL");
        out_.tapes.push_back(std::move(t));
    }

    void dmi(std::string_view alias) {
        auto& s = out_.system;
        if (!alias.starts_with("dmi:")) return;
        s.bios_vendor = dmi_part(alias, "bvn");
        s.bios_version = dmi_part(alias, "bvr");
        s.bios_date = dmi_part(alias, "bd");
        s.manufacturer = dmi_part(alias, "svn");
        s.model = dmi_part(alias, "pn");
        s.board = trim(dmi_part(alias, "rvn") + " " + dmi_part(alias, "rn"));
        s.hypervisor = hypervisor_named(s.manufacturer, s.model);
    }

    void cpu(const Device& d) {
        auto digits = d.name().starts_with("cpu") ? d.name().substr(3) : "";
        if (parse_u64(digits)) ++out_.system.processors.threads;
        cpu_alias_ = cpu_alias_.empty() ? d.get("MODALIAS") : cpu_alias_;
    }

    // "x86cpu:vendor:0000:family:0006:model:003A:feature:,0000,0001,…" (linux: arch/x86/kernel/cpu/match.c): vendors
    // are X86_VENDOR_*, feature 3D is long mode.
    void processors() {
        auto& p = out_.system.processors;
        if (p.threads > 0) note(out_, "processor sockets", "the udev database counts logical processors alone");
        auto parts = split(cpu_alias_, ':');
        if (parts.size() < 9 || (parts[0] != "x86cpu" && parts[0] != "cpu")) return;
        auto value = [&](std::string_view key) {
            for (std::size_t i = 0; i + 1 < parts.size(); ++i)
                if (parts[i] == key) return parts[i + 1];
            return std::string();
        };
        p.vendor = value("vendor") == "0000" ? "GenuineIntel" : value("vendor") == "0002" ? "AuthenticAMD" : "";
        auto features = split(value("feature"), ',');
        p.is_64bit = std::find(features.begin(), features.end(), "003D") != features.end();
    }

    std::vector<Device> devices_;
    std::map<std::string, const Device*> by_path_;
    std::map<std::string, std::string> disk_path_;  // sysfs path -> name
    std::string cpu_alias_;
    Inventory out_;
};

}  // namespace

Result<Inventory> import_udev(std::string_view text) {
    auto devices = read_devices(text);
    bool any =
        std::any_of(devices.begin(), devices.end(), [](const Device& d) { return d.path.starts_with("/devices"); });
    if (!any) return make_error(errors::kBadDump, "there is no \"P: /devices/…\" paragraph in it");
    auto out = Importer(std::move(devices)).run();
    out.os.family = "linux";
    return out;
}

}  // namespace slipway::gatherhw
