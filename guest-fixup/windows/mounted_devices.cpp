// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/mounted_devices.hpp"

#include <algorithm>

#include "guest-fixup/windows/system.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

constexpr std::string_view kGpt = "DMIO:ID:";
constexpr const char* kKey = "MountedDevices";
constexpr std::size_t kMostValues = 4096;

std::string text_of(const ByteWriter& writer) { return std::string(as_text(writer.view())); }

// "\DosDevices\C:" of "C:\WINDOWS".
std::string system_letter(const Hive& software) {
    const auto root = software.string("Microsoft\\Windows NT\\CurrentVersion", "SystemRoot").value_or("");
    const bool letter =
        root.size() > 2 && root[1] == ':' && ((root[0] >= 'A' && root[0] <= 'Z') || (root[0] >= 'a' && root[0] <= 'z'));
    return letter ? "\\DosDevices\\" + root.substr(0, 2) : "";
}

}  // namespace

std::optional<MbrVolume> parse_mbr_volume(std::string_view value) {
    if (value.size() != 12) return std::nullopt;
    ByteReader reader(as_bytes(value));
    MbrVolume volume;
    volume.signature = reader.le32();
    volume.offset = reader.le64();
    return volume;
}

std::optional<Uuid> parse_gpt_volume(std::string_view value) {
    if (value.size() != 24 || !value.starts_with(kGpt)) return std::nullopt;
    ByteReader reader(as_bytes(value.substr(kGpt.size())));
    return Uuid::from_guid(reader.array<16>());
}

std::string value_of(const DiskPlace& place, const disks::Partition& partition) {
    ByteWriter writer;
    if (place.layout.table == disks::TableKind::Gpt) {
        const auto guid = partition.id.to_guid();
        return text_of(writer.text(kGpt).bytes(guid));
    }
    if (place.layout.table != disks::TableKind::Mbr || place.layout.mbr_signature == 0) return {};
    return text_of(writer.le32(place.layout.mbr_signature).le64(partition.offset));
}

std::optional<std::string> new_value(const DiskPlace& place, std::string_view system_volume, std::string_view value) {
    const auto* partition = place.partition(place.windows_partition);
    if (!partition) return std::nullopt;
    const auto now = value_of(place, *partition);
    if (now.empty() || now == system_volume) return std::nullopt;
    if (value == system_volume) return now;
    const auto old_system = parse_mbr_volume(system_volume), old = parse_mbr_volume(value);
    if (!old_system || !old || old->signature != old_system->signature) return std::nullopt;
    for (const auto& other : place.layout.partitions)
        if (other.offset == old->offset && other.index != partition->index) {
            auto renamed = value_of(place, other);
            return renamed == value ? std::nullopt : std::optional(std::move(renamed));
        }
    return std::nullopt;
}

Status repair_mounted_devices(WindowsRepair& repair) {
    const auto letter = system_letter(repair.software);
    if (!repair.disk || letter.empty()) return {};
    const auto old = repair.system.get(kKey, letter);
    // NT 4 keeps no such key; a volume of a dynamic disk is found by the disk's own database.
    if (!old || (!parse_mbr_volume(old->data) && !parse_gpt_volume(old->data))) return {};
    if (parse_gpt_volume(old->data) && repair.disk->layout.table != disks::TableKind::Gpt) return {};
    auto names = repair.system.values(kKey);
    if (names.size() > kMostValues) names.resize(kMostValues);
    for (const auto& name : names) {
        const auto value = repair.system.get(kKey, name);
        if (!value) continue;
        const auto wanted = new_value(*repair.disk, old->data, value->data);
        if (!wanted) continue;
        TRY(repair.system.set(fmt::format("drive letters: {} is where it lies now", printable(name)), kKey, name,
                              reg_binary(*wanted)));
    }
    return {};
}

}  // namespace slipway::fixup::windows
