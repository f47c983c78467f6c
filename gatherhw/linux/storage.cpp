// SPDX-License-Identifier: GPL-3.0-or-later
// Storage controllers, physical disks with their partitions, optical drives.
#include <algorithm>

#include <fmt/format.h>
#include <linux/hdreg.h>
#include <sys/ioctl.h>

#include "gatherhw/linux/parts.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/block.hpp"
#include "lib/disks/layout.hpp"

namespace slipway::gatherhw {

namespace {

constexpr std::uint64_t kSysfsSector = 512;  // sysfs counts in these whatever the disk's sector is
constexpr std::uint16_t kVirtioVendor = 0x1af4;

ControllerKind kind_of_class(const PciId& pci) {
    if (pci.vendor == kVirtioVendor) return ControllerKind::Virtio;
    switch (pci.class_code >> 8) {
        case 0x0101: return ControllerKind::Ide;
        case 0x0104: return ControllerKind::Raid;
        case 0x0106: return ControllerKind::Ahci;
        case 0x0100:
        case 0x0107: return ControllerKind::Scsi;
        case 0x0108: return ControllerKind::Nvme;
        case 0x0c03: return ControllerKind::Usb;
        default: return ControllerKind::Unknown;
    }
}

bool is_pci_slot(std::string_view part) {
    return part.size() >= 12 && part[4] == ':' && part[7] == ':' && part[10] == '.';
}

// "/devices/pci0000:00/0000:00:1f.2/ata1/host0/…": the last PCI function on the way is the controller.
std::string controller_directory(std::string_view device) {
    std::string path, found;
    for (const auto& part : split(device, '/')) {
        if (part.empty()) continue;
        path += "/" + part;
        if (is_pci_slot(part)) found = path;
    }
    return found;
}

ControllerKind kind_of_path(std::string_view device) {
    if (device.find("/usb") != std::string_view::npos) return ControllerKind::Usb;
    if (device.find("/nvme") != std::string_view::npos) return ControllerKind::Nvme;
    if (device.find("/virtio") != std::string_view::npos) return ControllerKind::Virtio;
    if (device.find("/ata") != std::string_view::npos) return ControllerKind::Ide;
    if (device.find("/host") != std::string_view::npos) return ControllerKind::Scsi;
    return ControllerKind::Unknown;
}

std::string add_controller(Inventory& out, ControllerKind kind, std::string driver, std::optional<PciId> pci) {
    StorageController c{fmt::format("controller{}", out.controllers.size()), kind, std::move(driver), std::move(pci)};
    out.controllers.push_back(c);
    return c.id;
}

void probe_controllers(Tree& tree, Inventory& out) {
    for (const auto& slot : tree.list("/sys/bus/pci/devices")) {
        auto directory = "/sys/bus/pci/devices/" + slot;
        auto pci = pci_at(tree, directory);
        if (!pci || pci->class_code >> 16 != 0x01) continue;
        add_controller(out, kind_of_class(*pci), tree.link_name(directory + "/driver"), *pci);
    }
}

// Controllers that no storage class announces (USB, ones without PCI) are added when a disk hangs on them.
std::string controller_of(Tree& tree, const std::string& device, Inventory& out) {
    auto directory = controller_directory(device);
    auto pci = directory.empty() ? std::nullopt : pci_at(tree, directory);
    if (pci) {
        for (const auto& c : out.controllers)
            if (c.pci && c.pci->slot == pci->slot) return c.id;
        auto kind = kind_of_class(*pci);
        if (kind == ControllerKind::Unknown) kind = kind_of_path(device);
        return add_controller(out, kind, tree.link_name(directory + "/driver"), pci);
    }
    auto kind = kind_of_path(device);
    return kind == ControllerKind::Unknown ? "" : add_controller(out, kind, "", std::nullopt);
}

// VPD page 0x80 (SPC-4 7.8.15): four bytes of header, then the serial number.
std::string vpd_serial(Tree& tree, const std::string& directory) {
    auto page = tree.read(directory + "/device/vpd_pg80").value_or("");
    return page.size() > 4 ? std::string(trim(printable(std::string_view(page).substr(4)))) : "";
}

template <typename... Texts>
std::string first_of(Texts... texts) {
    std::string out;
    ((out = out.empty() ? std::string(texts) : out), ...);
    return out;
}

void probe_identity(Tree& tree, const std::string& directory, Disk& disk) {
    auto udev = udev_properties(tree, "b" + tree.line(directory + "/dev"));
    auto attribute = [&](const char* name) { return tree.line(directory + "/device/" + name); };
    disk.vendor = attribute("vendor");
    if (disk.vendor.starts_with("0x")) disk.vendor.clear();  // virtio: a PCI number
    disk.model = first_of(attribute("model"), udev["ID_MODEL"]);
    // The order of lib/disks (list_disks), by which the agent knows the disk again.
    disk.serial = first_of(tree.line(directory + "/serial"), attribute("serial"), vpd_serial(tree, directory),
                           udev["ID_SCSI_SERIAL"], udev["ID_SERIAL_SHORT"]);
    auto wwn = first_of(tree.line(directory + "/wwid"), attribute("wwid"));
    if (wwn.starts_with("naa.")) wwn = "0x" + wwn.substr(4);
    disk.wwn = first_of(udev["ID_WWN_WITH_EXTENSION"], udev["ID_WWN"], wwn.starts_with("t10.") ? "" : wwn);
    disk.firmware = first_of(attribute("firmware_rev"), attribute("rev"), udev["ID_REVISION"]);
}

void probe_sysfs_partitions(Tree& tree, const std::string& directory, Disk& disk) {
    for (const auto& name : tree.list(directory)) {
        auto at = directory + "/" + name;
        if (!name.starts_with(disk.name) || !tree.exists(at + "/partition")) continue;
        Partition p{.index = static_cast<std::uint32_t>(tree.number(at + "/partition")),
                    .name = name,
                    .offset = tree.number(at + "/start") * kSysfsSector,
                    .length = tree.number(at + "/size") * kSysfsSector};
        auto udev = udev_properties(tree, "b" + tree.line(at + "/dev"));
        p.type = udev["ID_PART_ENTRY_TYPE"];
        p.label = udev["ID_PART_ENTRY_NAME"];
        p.uuid = udev["ID_PART_ENTRY_UUID"];
        p.active = udev["ID_PART_ENTRY_FLAGS"] == "0x80";
        if (auto table = udev["ID_PART_ENTRY_SCHEME"]; !table.empty())
            disk.table = table == "gpt" ? TableKind::Gpt : table == "dos" ? TableKind::Mbr : TableKind::Unknown;
        // Linux lists an extended container as a partition of two sectors; it holds no volume.
        if (p.type != "0x5" && p.type != "0xf" && p.type != "0x85") disk.partitions.push_back(std::move(p));
    }
    auto by_offset = [](const Partition& a, const Partition& b) { return a.offset < b.offset; };
    std::sort(disk.partitions.begin(), disk.partitions.end(), by_offset);
}

// "sda" + 1 -> "sda1", "nvme0n1" + 1 -> "nvme0n1p1"
std::string partition_name(const std::string& disk, unsigned index) {
    bool digit = !disk.empty() && disk.back() >= '0' && disk.back() <= '9';
    return fmt::format("{}{}{}", disk, digit ? "p" : "", index);
}

void take_layout(const disks::DiskLayout& layout, Disk& disk) {
    bool mbr = layout.table == disks::TableKind::Mbr;
    disk.table = layout.table == disks::TableKind::Gpt ? TableKind::Gpt : mbr ? TableKind::Mbr : TableKind::None;
    disk.disk_id = mbr                            ? fmt::format("0x{:08x}", layout.mbr_signature)
                   : disk.table == TableKind::Gpt ? layout.gpt_id.text()
                                                  : "";
    std::vector<Partition> found;
    for (const auto& p : layout.partitions)
        found.push_back({.index = p.index,
                         .name = partition_name(disk.name, p.index),
                         .offset = p.offset,
                         .length = p.length,
                         .type = mbr ? fmt::format("0x{:02x}", p.mbr_type) : p.type.text(),
                         .label = p.name,
                         .uuid = mbr ? fmt::format("{:08x}-{:02x}", layout.mbr_signature, p.index) : p.id.text(),
                         .active = p.active});
    disk.partitions = std::move(found);
}

void probe_content(Tree& tree, const LinuxProbeOptions& options, Disk& disk) {
    auto where = tree.host(disk.path);
    if (!where) return;
    auto device = disks::FileDisk::open(*where, disks::OpenMode::ReadOnly);
    if (!device) return tree.unreadable(disk.path, device.error().message());
    hd_geometry geometry{};
    if (options.live && ::ioctl((*device)->fd(), HDIO_GETGEO, &geometry) == 0 && geometry.heads && geometry.sectors)
        disk.geometry = Geometry{disk.size / 512 / geometry.heads / geometry.sectors, geometry.heads, geometry.sectors};
    auto layout = disks::read_layout(**device);
    if (!layout) return tree.unreadable(disk.path, layout.error().describe());
    take_layout(*layout, disk);
    for (const auto& note : layout->notes) tree.unreadable(disk.path + " partition table", note);
}

void probe_disk(Tree& tree, const LinuxProbeOptions& options, const std::string& name, Inventory& out) {
    auto directory = "/sys/block/" + name;
    auto device = tree.resolve(directory).value_or("");
    Disk disk{.name = name, .path = "/dev/" + name, .size = tree.number(directory + "/size") * kSysfsSector};
    if (disk.size == 0) return;  // a card reader without a card
    std::replace(disk.path.begin(), disk.path.end(), '!', '/');
    probe_identity(tree, directory, disk);
    disk.logical_sector = static_cast<std::uint32_t>(tree.number(directory + "/queue/logical_block_size", 512));
    disk.physical_sector = static_cast<std::uint32_t>(tree.number(directory + "/queue/physical_block_size", 512));
    disk.removable = tree.number(directory + "/removable") != 0;
    disk.read_only = tree.number(directory + "/ro") != 0;
    disk.rotational = tree.number(directory + "/queue/rotational") != 0;
    // Multipath NVMe namespaces hang on a virtual subsystem; their controller is nvme0 of nvme0n1.
    if (device.find("/nvme-subsystem/") != std::string::npos)
        device = tree.resolve("/sys/class/nvme/" + name.substr(0, name.find('n', 4))).value_or(device);
    disk.controller = controller_of(tree, device, out);
    auto parent = tree.link_name(directory + "/device");
    if (std::count(parent.begin(), parent.end(), ':') == 3) disk.address = parent;
    probe_sysfs_partitions(tree, directory, disk);
    if (options.read_disks) probe_content(tree, options, disk);
    out.disks.push_back(std::move(disk));
}

}  // namespace

std::optional<PciId> pci_at(Tree& tree, const std::string& device_directory) {
    auto directory = tree.resolve(device_directory);
    if (!directory || !tree.exists(*directory + "/vendor")) return std::nullopt;
    if (!is_pci_slot(base_name(*directory))) return std::nullopt;
    auto value = [&](const char* name) { return tree.number(*directory + "/" + name); };
    PciId pci;
    pci.slot = base_name(*directory);
    pci.vendor = static_cast<std::uint16_t>(value("vendor"));
    pci.device = static_cast<std::uint16_t>(value("device"));
    pci.subsystem_vendor = static_cast<std::uint16_t>(value("subsystem_vendor"));
    pci.subsystem_device = static_cast<std::uint16_t>(value("subsystem_device"));
    pci.class_code = static_cast<std::uint32_t>(value("class")) & 0xffffff;
    pci.modalias = tree.line(*directory + "/modalias");
    return pci;
}

std::map<std::string, std::string> udev_properties(Tree& tree, const std::string& id) {
    std::map<std::string, std::string> out;
    for (const auto& line : tree.lines("/run/udev/data/" + id)) {
        auto equals = line.find('=');
        if (line.starts_with("E:") && equals != std::string::npos)
            out[line.substr(2, equals - 2)] = line.substr(equals + 1);
    }
    return out;
}

void probe_storage(Tree& tree, const LinuxProbeOptions& options, Inventory& out) {
    probe_controllers(tree, out);
    for (const auto& name : tree.list("/sys/block")) {
        if (name.starts_with("sr")) {
            auto model = tree.line("/sys/block/" + name + "/device/model");
            out.optical.push_back({name, "/dev/" + name, model});
        } else if (tree.exists("/sys/block/" + name + "/device") && !name.starts_with("fd")) {
            // Loop, RAM, device-mapper, RAID and network disks have no device below them.
            probe_disk(tree, options, name, out);
        }
    }
}

}  // namespace slipway::gatherhw
