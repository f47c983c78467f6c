// SPDX-License-Identifier: GPL-3.0-or-later
// Controllers, disks, partitions, volumes.
#include <algorithm>
#include <cstdio>
#include <map>
#include <set>

#include <fmt/format.h>

#include "gatherhw/importers/shared.hpp"
#include "gatherhw/importers/wmi_parts.hpp"
#include "gatherhw/linux/classify.hpp"
#include "lib/base/strings.hpp"

namespace slipway::gatherhw {

namespace {

bool has(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

void controllers(const WmiMachine& machine, std::string_view kind, ControllerKind plain, Inventory& out) {
    for (const auto& i : machine.of(kind)) {
        auto name = i.get("name");
        auto lower = to_lower(name);
        auto what = has(lower, "raid")                              ? ControllerKind::Raid
                    : has(lower, "ahci")                            ? ControllerKind::Ahci
                    : has(lower, "nvm")                             ? ControllerKind::Nvme
                    : has(lower, "virtio") || has(lower, "red hat") ? ControllerKind::Virtio
                                                                    : plain;
        out.controllers.push_back({fmt::format("controller{}", out.controllers.size()), what, i.get("drivername"),
                                   pci_of_pnp(i.get("pnpdeviceid"))});
    }
}

// Windows Vista and 7 give an ATA serial number as the hexadecimal of its bytes, each pair swapped.
std::string serial_of(const std::string& text) {
    auto bytes = text.size() >= 20 && text.size() % 4 == 0 ? from_hex(text) : std::nullopt;
    if (!bytes) return text;
    std::string out;
    for (std::size_t i = 0; i + 1 < bytes->size(); i += 2)
        for (auto b : {(*bytes)[i + 1], (*bytes)[i]}) {
            auto c = std::to_integer<unsigned char>(b);
            if (c < 0x20 || c > 0x7e) return text;  // a number that only looks like it
            out += static_cast<char>(c);
        }
    return std::string(trim(out));
}

BusKind bus_of(const WmiInstance& i) {
    auto type = to_lower(i.get("interfacetype")), pnp = to_lower(i.get("pnpdeviceid"));
    if (pnp.starts_with("usbstor") || type == "usb") return BusKind::Usb;
    if (has(pnp, "ven_nvme")) return BusKind::Nvme;
    if (has(pnp, "ven_red_hat&prod_virtio") || has(pnp, "ven_red_hat_virtio")) return BusKind::Virtio;
    if (type == "1394") return BusKind::Firewire;
    if (type == "ide") return BusKind::Ide;
    return type == "scsi" ? BusKind::Scsi : BusKind::Unknown;
}

void health(const WmiInstance& i, Disk& d) {
    auto status = i.get("status");
    if (status.empty()) return;
    constexpr std::string_view kBad[] = {"Pred Fail", "Error", "Degraded", "NonRecover"};
    bool bad = std::find(std::begin(kBad), std::end(kBad), status) != std::end(kBad);
    d.health = bad ? Health::Failing : status == "OK" ? Health::Good : Health::Unknown;
    if (d.health != Health::Unknown) d.health_evidence = "Win32_DiskDrive Status: " + status;
}

Disk disk_of(const WmiInstance& i) {
    Disk d{.name = fmt::format("disk{}", i.number("index")),
           .path = i.get("deviceid"),
           .vendor = "",
           .model = i.get("model")};
    d.serial = serial_of(i.get("serialnumber"));
    d.firmware = i.get("firmwarerevision");
    d.size = i.number("size");
    auto sector = i.number("bytespersector");
    if (sector >= 512 && sector <= 65536) d.logical_sector = d.physical_sector = static_cast<std::uint32_t>(sector);
    Geometry g{i.number("totalcylinders"),
               static_cast<std::uint32_t>(std::min<std::uint64_t>(i.number("totalheads"), 65535)),
               static_cast<std::uint32_t>(std::min<std::uint64_t>(i.number("sectorspertrack"), 65535))};
    if (g.cylinders && g.heads && g.sectors) d.geometry = g;
    d.removable = has(to_lower(i.get("mediatype")), "removable");
    d.bus = bus_of(i);
    d.san = is_san(d.bus);
    if (!i.get("scsitargetid").empty() && !i.get("scsiport").empty())
        d.address = fmt::format("{}:{}:{}:{}", i.number("scsiport"), i.number("scsibus"), i.number("scsitargetid"),
                                i.number("scsilogicalunit"));
    if (to_lower(i.get("pnpdeviceid")).starts_with("mpio\\") || has(d.model, "Multi-Path Disk Device")) {
        add_member(d, "multipath");
        d.san = true;
    }
    if (has(d.model, "Storage Space Device")) add_member(d, "storage-spaces");
    health(i, d);
    // A signed number; only a disk with an MBR has one.
    auto signature = i.get("signature");
    bool negative = signature.starts_with('-');
    if (auto n = parse_u64(negative ? signature.substr(1) : signature); n && *n && *n <= 0xffffffff) {
        d.table = TableKind::Mbr;
        d.disk_id = fmt::format("0x{:08x}", static_cast<std::uint32_t>(negative ? -*n : *n));
    }
    return d;
}

// What Win32_DiskPartition calls a type; empty when the word stands for several.
std::string type_of(std::string_view text) {
    struct Row {
        std::string_view text, type;
    };
    constexpr Row kRows[] = {{"Installable File System", "0x07"},
                             {"Logical Disk Manager", "0x42"},
                             {"16-bit FAT", "0x06"},
                             {"32-bit FAT", "0x0b"},
                             {"GPT: System", "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"},
                             {"GPT: Basic Data", "ebd0a0a2-b9e5-4433-87c0-68b6b72699c7"},
                             {"GPT: Logical Disk Manager Data", "af9b60a0-1431-4f62-bc68-3311714a69ad"},
                             {"GPT: Logical Disk Manager Metadata", "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3"},
                             {"GPT: Microsoft Reserved", "e3c9e316-0b5c-4db8-817d-f92df00215ae"}};
    for (const auto& row : kRows)
        if (row.text == text) return std::string(row.type);
    return {};
}

// Win32_DiskDrive counts whole cylinders: the disk has a little more, and a partition may lie in that.
void include(Disk& disk, const Partition& p) {
    constexpr std::uint64_t kCylinder = 16u << 20;
    auto end = p.offset + p.length;
    if (end > disk.size && end >= p.offset && end - disk.size <= kCylinder) disk.size = end;
}

void partitions(const WmiMachine& machine, Inventory& out) {
    std::map<std::string, Disk*> by_name;  // the first of a name is the one that tidy() keeps
    for (auto& d : out.disks) by_name.try_emplace(d.name, &d);
    for (const auto& i : machine.of("win32_diskpartition")) {
        const auto found = by_name.find(fmt::format("disk{}", i.number("diskindex")));
        if (found == by_name.end() || found->second->partitions.size() == 1000) continue;
        auto& d = *found->second;
        auto type = i.get("type");
        d.table = type.starts_with("GPT:") ? TableKind::Gpt : TableKind::Mbr;
        if (type.starts_with("Extended")) continue;  // the container of the logical ones
        auto index = static_cast<std::uint32_t>(std::min<std::uint64_t>(i.number("index"), 1000)) + 1;
        d.partitions.push_back({.index = index,
                                .name = fmt::format("{}p{}", d.name, index),
                                .offset = i.number("startingoffset"),
                                .length = i.number("size"),
                                .type = type_of(type),
                                .label = {},
                                .uuid = {},
                                .active = i.is_true("bootpartition") && d.table == TableKind::Mbr});
        add_member(d, pool_of_partition_type(d.partitions.back().type));
        include(d, d.partitions.back());
    }
}

// 'Win32_DiskPartition.DeviceID="Disk #0, Partition #1"' and '…="C:"': the letter of each partition.
std::map<std::string, std::string> letters(const WmiMachine& machine) {
    auto quoted = [](const std::string& text) {
        auto open = text.find('"'), close = text.rfind('"');
        return open == std::string::npos || close <= open ? "" : text.substr(open + 1, close - open - 1);
    };
    std::map<std::string, std::string> out;
    for (const auto& i : machine.of("win32_logicaldisktopartition")) {
        unsigned disk = 0, partition = 0;
        auto from = quoted(i.get("antecedent"));
        if (std::sscanf(from.c_str(), "Disk #%3u, Partition #%3u", &disk, &partition) == 2)
            out[quoted(i.get("dependent"))] = fmt::format("disk{}p{}", disk, partition + 1);
    }
    return out;
}

std::string without_slash(std::string text) {
    if (text.ends_with('\\')) text.pop_back();
    return text;
}

// "\\?\Volume{GUID}\" as Volume::volume_id; empty: it is none.
std::string volume_id_of(const std::string& device_id) {
    auto open = device_id.find('{');
    return open == std::string::npos ? "" : without_slash(device_id.substr(open));
}

std::optional<bool> negated(std::optional<bool> value) { return value ? std::optional<bool>(!*value) : std::nullopt; }

// Win32_LogicalDisk and Win32_Volume tell of the same thing in other words; the first names win.
Volume volume_of(const WmiInstance& i, bool logical) {
    Volume v{.kind = VolumeKind::Partition};
    auto letter = logical ? i.get("deviceid") : i.get("driveletter");
    auto place = without_slash(i.get("name"));
    if (!logical) v.volume_id = volume_id_of(i.get("deviceid"));
    v.name = !letter.empty() ? letter : !v.volume_id.empty() ? v.volume_id : place;
    v.path = i.get("deviceid");
    v.filesystem = to_lower(i.get("filesystem"));
    v.label = logical ? i.get("volumename") : i.get("label");
    v.size = logical ? i.number("size") : i.number("capacity");
    if (!i.get("freespace").empty() && i.number("freespace") <= v.size) {
        v.free = i.number("freespace");
        v.used = v.size - *v.free;
    }
    if (auto dirty = i.flag(logical ? "volumedirty" : "dirtybitset"))
        v.state = *dirty ? VolumeState::NeedsRecovery : VolumeState::Clean;
    v.mounted = true;
    if (!letter.empty()) v.mount_points.push_back(letter);
    else if (!has(place, "Volume{")) v.mount_points.push_back(place);
    v.cluster = static_cast<std::uint32_t>(std::min<std::uint64_t>(logical ? 0 : i.number("blocksize"), 1u << 30));
    v.compressed = i.flag("compressed");
    v.quotas = logical ? negated(i.flag("quotasdisabled")) : i.flag("quotasenabled");
    v.boot_volume = i.flag("bootvolume");
    v.system_volume = i.flag("systemvolume");
    v.page_file = i.flag("pagefilepresent");
    return v;
}

void mark_encrypted(const WmiMachine& machine, Inventory& out) {
    std::set<std::string> letters, ids;
    for (const auto& i : machine.of("win32_encryptablevolume")) {
        // Protected now, or at least converted in part.
        if (i.number("protectionstatus") != 1 && i.number("conversionstatus") == 0) continue;
        letters.insert(i.get("driveletter"));
        ids.insert(volume_id_of(i.get("deviceid")));
    }
    for (auto& v : out.volumes)
        if (letters.contains(v.name) || (!v.volume_id.empty() && ids.contains(v.volume_id))) v.encryption = "bitlocker";
}

void mark_page_files(const WmiMachine& machine, Inventory& out) {
    std::set<std::string> files;
    for (const auto& i : machine.of("win32_pagefileusage")) files.insert(i.get("name"));
    for (auto& v : out.volumes) {
        const auto file = files.lower_bound(v.name);
        if (!v.name.empty() && file != files.end() && file->starts_with(v.name)) v.page_file = true;
    }
}

void volumes(const WmiMachine& machine, Inventory& out) {
    constexpr std::uint64_t kRemovable = 2, kFixed = 3;
    auto partition_of = letters(machine);
    std::set<std::string> names;
    auto take = [&](const WmiInstance& i, bool logical) {
        auto type = i.number("drivetype");
        if (type != kFixed && (type != kRemovable || i.get("filesystem").empty())) return;
        auto v = volume_of(i, logical);
        if (!names.insert(v.name).second && logical) return;
        if (auto at = partition_of.find(v.name); at != partition_of.end()) v.backing = {at->second};
        out.volumes.push_back(std::move(v));
    };
    for (const auto& i : machine.of("win32_volume")) take(i, false);
    for (const auto& i : machine.of("win32_logicaldisk")) take(i, true);
    mark_encrypted(machine, out);
    mark_page_files(machine, out);
}

// Which controller a disk hangs on is in no class of its own; with one of its kind it can only be that.
void hang_disks(Inventory& out) {
    std::vector<std::string> ata, others;
    for (const auto& c : out.controllers)
        (c.kind == ControllerKind::Ide || c.kind == ControllerKind::Ahci ? ata : others).push_back(c.id);
    for (auto& d : out.disks) {
        d.controller.clear();
        if (d.bus == BusKind::Ide && ata.size() == 1) d.controller = ata.front();
        if (d.bus == BusKind::Scsi && others.size() == 1) d.controller = others.front();
    }
}

bool has_esp(const Disk& d) { return std::any_of(d.partitions.begin(), d.partitions.end(), is_efi_system_partition); }
bool has_active(const Disk& d) {
    return std::any_of(d.partitions.begin(), d.partitions.end(), [](const Partition& p) { return p.active; });
}

// The disk that Windows is on. Each that says so is looked for among all disks; a machine has one.
const Disk* windows_disk(const Inventory& out) {
    int looked_at = 0;
    for (const auto& v : out.volumes) {
        const bool by_letter = !v.boot_volume && out.os.system_root.size() >= 2 &&
                               std::find(v.mount_points.begin(), v.mount_points.end(),
                                         out.os.system_root.substr(0, 2)) != v.mount_points.end();
        if ((v.boot_volume != true && !by_letter) || v.backing.empty()) continue;
        if (++looked_at > 64) break;
        if (auto on = disks_of(out, v); on.size() == 1) return find_disk(out, on.front());
    }
    return nullptr;
}

// WMI does not say it, but Windows starts from a GPT by UEFI and from an MBR by a BIOS alone ("Windows and GPT FAQ",
// Microsoft), and Windows 2000 to 2003 for PCs knows no UEFI. Where its disks do not tell, it stays unknown.
Firmware firmware_of(const Inventory& out) {
    const auto major = parse_u64(out.os.version.substr(0, out.os.version.find('.')));
    if (major && *major < 6 && !out.os.architecture.empty()) return Firmware::Bios;
    const auto* own = windows_disk(out);
    const bool active = std::any_of(out.disks.begin(), out.disks.end(), has_active);
    const bool esp = std::any_of(out.disks.begin(), out.disks.end(), has_esp);
    if (own != nullptr && has_esp(*own)) return Firmware::Uefi;
    // The loader may be on another disk than Windows.
    if (own != nullptr && own->table == TableKind::Gpt && esp && !active) return Firmware::Uefi;
    if (own != nullptr && own->table == TableKind::Mbr && active && !esp) return Firmware::Bios;
    return Firmware::Unknown;
}

}  // namespace

void wmi_storage(const WmiMachine& machine, Inventory& out) {
    controllers(machine, "win32_idecontroller", ControllerKind::Ide, out);
    controllers(machine, "win32_scsicontroller", ControllerKind::Scsi, out);
    for (const auto& i : machine.of("win32_diskdrive")) out.disks.push_back(disk_of(i));
    std::stable_sort(out.disks.begin(), out.disks.end(), [](const Disk& a, const Disk& b) {
        return a.name.size() != b.name.size() ? a.name.size() < b.name.size() : a.name < b.name;
    });
    partitions(machine, out);
    volumes(machine, out);
    hang_disks(out);
    out.system.firmware = firmware_of(out);
}

}  // namespace slipway::gatherhw
