// SPDX-License-Identifier: GPL-3.0-or-later
// Storage controllers, physical disks with their partitions, optical drives.
#include <algorithm>

#include <fmt/format.h>
#include <linux/hdreg.h>
#include <sys/ioctl.h>

#include "gatherhw/linux/classify.hpp"
#include "gatherhw/linux/health.hpp"
#include "gatherhw/linux/parts.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/block.hpp"
#include "lib/disks/layout.hpp"

namespace slipway::gatherhw {

namespace {

constexpr std::uint64_t kSysfsSector = 512;  // sysfs counts in these whatever the disk's sector is

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
        add_controller(out, controller_kind_of_class(*pci), tree.link_name(directory + "/driver"), *pci);
    }
}

// Controllers that no storage class announces (USB, ones without PCI) are added when a disk hangs on them.
std::string controller_of(Tree& tree, const std::string& device, Inventory& out) {
    auto directory = controller_directory(device);
    auto pci = directory.empty() ? std::nullopt : pci_at(tree, directory);
    if (pci) {
        for (const auto& c : out.controllers)
            if (c.pci && c.pci->slot == pci->slot) return c.id;
        auto kind = controller_kind_of_class(*pci);
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

// Names of device-mapper devices that lie on a disk, by the beginning of their uuid.
std::string holder_of(Tree& tree, const std::string& directory, std::string_view uuid) {
    for (const auto& name : tree.list(directory + "/holders")) {
        auto at = "/sys/block/" + name + "/dm/";
        if (tree.line(at + "uuid").starts_with(uuid)) return tree.line(at + "name");
    }
    return {};
}

void probe_path(Tree& tree, const std::string& directory, const std::string& device, Inventory& out, Disk& disk) {
    auto udev = udev_properties(tree, "b" + tree.line(directory + "/dev"));
    const auto* controller = find_controller(out, disk.controller);
    bool sata = udev["ID_ATA_SATA"] == "1" || (controller && controller->kind == ControllerKind::Ahci);
    disk.bus = bus_of_path(device, controller ? controller->driver : "", sata);
    disk.san = is_san(disk.bus);
    disk.multipath = holder_of(tree, directory, "mpath-");
    if (!disk.multipath.empty() || udev["DM_MULTIPATH_DEVICE_PATH"] == "1") {
        add_member(disk, "multipath");
        disk.san = true;
    }
    if (!holder_of(tree, directory, "DMRAID-").empty()) add_member(disk, "bios-raid");
    for (const auto& p : disk.partitions) add_member(disk, pool_of_partition_type(p.type));
    // Hexadecimal, and only SCSI has it.
    if (auto count = parse_number(tree.line(directory + "/device/ioerr_cnt"))) disk.io_errors = *count;
}

void probe_health(Tree& tree, Disk& disk) {
    auto where = tree.host(disk.path);
    if (!where) return;
    auto device = disks::FileDisk::open(*where, disks::OpenMode::ReadOnly);
    if (!device) return;
    auto answer = ask_health((*device)->fd(), disk.bus);
    disk.health = answer.health;
    disk.health_evidence = answer.evidence;
}

void probe_tapes(Tree& tree, Inventory& out) {
    auto is_plain = [](std::string_view name, std::string_view stem) {
        return name.starts_with(stem) && name.size() > stem.size() &&
               name.find_first_not_of("0123456789", stem.size()) == std::string_view::npos;
    };
    for (std::string kind : {"scsi_tape", "scsi_changer"})
        for (const auto& name : tree.list("/sys/class/" + kind)) {
            // nst0, st0a and the like are the same drive in other modes.
            if (!is_plain(name, kind == "scsi_tape" ? "st" : "sch")) continue;
            auto at = "/sys/class/" + kind + "/" + name + "/device";
            auto address = base_name(tree.resolve(at).value_or(""));
            out.tapes.push_back({name, tree.line(at + "/vendor"), tree.line(at + "/model"),
                                 controller_of(tree, tree.resolve(at).value_or(""), out), address});
        }
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
    probe_path(tree, directory, device, out, disk);
    if (options.live && options.read_disks) probe_health(tree, disk);
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
    probe_tapes(tree, out);
}

}  // namespace slipway::gatherhw
