// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/volumes.hpp"

#include <algorithm>
#include <regex>

#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "lib/base/uuid.hpp"
#include "lib/disks/layout.hpp"
#include "lib/disks/volumes/lvm.hpp"
#include "lib/disks/volumes/md.hpp"

namespace slipway::fixup {

namespace {

constexpr std::size_t kStartBytes = 128u << 10;

bool has(ByteView bytes, std::size_t offset, std::string_view magic) {
    return bytes.size() >= offset + magic.size() && as_text(bytes.subspan(offset, magic.size())) == magic;
}

std::string uuid_at(ByteView bytes, std::size_t offset) {
    ByteReader reader(bytes);
    reader.seek(offset);
    Uuid uuid{reader.array<16>()};
    return reader.failed() ? "" : uuid.text();
}

std::string text_at(ByteView bytes, std::size_t offset, std::size_t length) {
    ByteReader reader(bytes);
    reader.seek(offset);
    std::string_view text = reader.text(length);
    return std::string(text.substr(0, text.find('\0')));
}

std::string fat_serial(ByteView bytes, std::size_t offset) {
    ByteReader reader(bytes);
    reader.seek(offset);
    auto serial = reader.le32();
    return fmt::format("{:04X}-{:04X}", serial >> 16, serial & 0xffff);
}

std::string ntfs_serial(ByteView bytes) {
    ByteReader reader(bytes);
    reader.seek(0x48);
    return fmt::format("{:016X}", reader.le64());
}

bool identify_ext(ByteView bytes, Volume& volume) {
    ByteReader reader(bytes);
    reader.seek(1024 + 0x38);
    if (reader.le16() != 0xef53 || reader.failed()) return false;
    volume.filesystem = "ext4";
    volume.errors = reader.le16() & 2;
    volume.uuid = uuid_at(bytes, 1024 + 0x68);
    volume.label = text_at(bytes, 1024 + 0x78, 16);
    return true;
}

// The disk and partition number of a device path: {"sda", 1}, {"by-path/pci-…", 2}.
struct NamedPartition {
    std::string disk;
    unsigned index = 0;
};
std::optional<NamedPartition> parse_name(std::string_view spec) {
    static const std::regex plain("/dev/((?:sd|hd|vd|xvd)[a-z]+)([0-9]+)");
    static const std::regex with_p("/dev/(nvme[0-9]+n[0-9]+|mmcblk[0-9]+|cciss/c[0-9]+d[0-9]+)p([0-9]+)");
    static const std::regex linked("/dev/disk/(by-(?:id|path)/.+)-part([0-9]+)");
    if (spec.size() > 512) return std::nullopt;
    const std::string text(spec);
    std::smatch match;
    if (!std::regex_match(text, match, plain) && !std::regex_match(text, match, with_p) &&
        !std::regex_match(text, match, linked))
        return std::nullopt;
    auto index = parse_u64(match[2].str());
    if (!index || *index > 1024) return std::nullopt;
    return NamedPartition{match[1].str(), static_cast<unsigned>(*index)};
}

std::string unquoted(std::string_view text) {
    if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
        text = text.substr(1, text.size() - 2);
    return std::string(text);
}

}  // namespace

void identify(ByteView start, Volume& volume) {
    using namespace std::string_view_literals;
    if (identify_ext(start, volume)) return;
    if (has(start, 0, "LUKS\xba\xbe"sv)) {
        volume.filesystem = "crypto_LUKS";
        volume.uuid = text_at(start, 168, 40);
    } else if (disks::parse_lvm_label(start)) {
        volume.filesystem = "LVM2_member";
    } else if (has(start, 4096, "\xfc\x4e\x2b\xa9"sv)) {
        volume.filesystem = "linux_raid_member";
    } else if (has(start, 3, "NTFS    ")) {
        volume.filesystem = "ntfs";
        volume.uuid = ntfs_serial(start);
    } else if (has(start, 3, "-FVE-FS-")) {
        volume.filesystem = "BitLocker";
    } else if (has(start, 0, "XFSB")) {
        volume.filesystem = "xfs";
        volume.uuid = uuid_at(start, 32);
        volume.label = text_at(start, 108, 12);
    } else if (has(start, 0x10000 + 64, "_BHRfS_M")) {
        volume.filesystem = "btrfs";
        volume.uuid = uuid_at(start, 0x10000 + 32);
        volume.label = text_at(start, 0x10000 + 0x12b, 256);
    } else if (has(start, 4086, "SWAPSPACE2")) {
        volume.filesystem = "swap";
        volume.uuid = uuid_at(start, 1024 + 12);
        volume.label = text_at(start, 1024 + 28, 16);
    } else if (has(start, 0x52, "FAT32   ")) {
        volume.filesystem = "vfat";
        volume.uuid = fat_serial(start, 67);
    } else if (has(start, 0x36, "FAT16   ") || has(start, 0x36, "FAT12   ")) {
        volume.filesystem = "vfat";
        volume.uuid = fat_serial(start, 39);
    }
}

std::string_view foreign_format(ByteView start) {
    using namespace std::string_view_literals;
    static constexpr std::pair<std::string_view, std::string_view> kMagics[] = {
        {"QFI\xfb"sv, "qcow2"}, {"KDMV"sv, "VMDK"}, {"vhdxfile"sv, "VHDX"}};
    for (const auto& [magic, name] : kMagics)
        if (has(start, 0, magic)) return name;
    return {};
}

Result<std::vector<Volume>> read_volumes(disks::BlockDevice& disk) {
    const auto layout = TRY(disks::read_layout(disk));
    std::vector<Volume> volumes;
    for (const auto& partition : layout.partitions) {
        Volume volume{.index = partition.index, .offset = partition.offset, .length = partition.length};
        volume.partuuid = layout.table == disks::TableKind::Gpt
                              ? partition.id.text()
                              : fmt::format("{:08x}-{:02x}", layout.mbr_signature, partition.index);
        volumes.push_back(std::move(volume));
    }
    if (layout.table == disks::TableKind::None) volumes.push_back({.offset = 0, .length = disk.size()});
    for (auto& volume : volumes) {
        disks::OffsetLayer window(disk, volume.offset, volume.length);
        TRY(identify_device(window, volume));
    }
    return volumes;
}

Status identify_device(disks::BlockDevice& device, Volume& volume) {
    Bytes start(std::min<std::uint64_t>(kStartBytes, device.size()));
    TRY(device.read(0, start));
    identify(start, volume);
    if (volume.filesystem == "linux_raid_member" || device.size() < kStartBytes) return {};
    if (!TRY(disks::read_md_super(device))) return {};
    // What it says at its start is said of the array.
    volume.filesystem = "linux_raid_member";
    volume.uuid.clear();
    volume.label.clear();
    volume.errors = false;
    return {};
}

std::string describe(const Volume& volume) {
    if (!volume.names.empty()) return volume.names.front();
    const std::string disk = volume.disk == 0 ? "" : fmt::format(" of disk {}", volume.disk + 1);
    return volume.index == 0 ? "the whole disk" + disk : fmt::format("partition {}", volume.index) + disk;
}

DeviceNames::DeviceNames(std::vector<Volume> volumes, std::string_view root_spec, unsigned root_disk)
    : volumes_(std::move(volumes)), root_disk_(root_disk) {
    if (auto name = parse_name(root_spec)) system_disk_ = name->disk;
}

namespace {

// {"sd", 1} of "sdb"; the places of links by path or id say nothing of an order.
std::optional<std::pair<std::string_view, unsigned>> ordinal(std::string_view disk) {
    for (std::string_view scheme : {"sd", "hd", "vd", "xvd"}) {
        if (!disk.starts_with(scheme)) continue;
        unsigned number = 0;
        for (char c : disk.substr(scheme.size())) {
            if (c < 'a' || c > 'z' || number > 1000) return std::nullopt;
            number = number * 26 + static_cast<unsigned>(c - 'a') + 1;
        }
        return number ? std::optional(std::pair(scheme, number - 1)) : std::nullopt;
    }
    for (auto [scheme, end] : {std::pair{"nvme", "n1"}, {"mmcblk", ""}, {"cciss/c0d", ""}})
        if (disk.starts_with(scheme) && disk.ends_with(end)) {
            const std::string_view prefix(scheme);
            disk.remove_prefix(prefix.size());
            disk.remove_suffix(std::string_view(end).size());
            auto number = parse_u64(disk);
            if (number && *number < 1000) return std::pair(prefix, static_cast<unsigned>(*number));
        }
    return std::nullopt;
}

}  // namespace

std::optional<unsigned> DeviceNames::disk_called(std::string_view name) const {
    if (name == system_disk_) return root_disk_;
    const auto here = ordinal(name);
    if (!here) return std::nullopt;
    if (system_disk_.empty()) return here->second;
    const auto root = ordinal(system_disk_);
    if (!root || root->first != here->first || here->second + root_disk_ < root->second) return std::nullopt;
    return here->second + root_disk_ - root->second;
}

bool DeviceNames::unstable(std::string_view spec) { return parse_name(unquoted(spec)).has_value(); }

std::optional<std::string> DeviceNames::stable_name(std::string_view spec) const {
    if (!unstable(spec)) return std::nullopt;
    const auto* volume = find(spec);
    if (!volume || volume->uuid.empty()) return std::nullopt;
    return "UUID=" + volume->uuid;
}

const Volume* DeviceNames::find(std::string_view raw) const {
    const auto spec = unquoted(raw);
    auto by = [&](auto&& matches) -> const Volume* {
        auto found = std::find_if(volumes_.begin(), volumes_.end(), matches);
        return found == volumes_.end() ? nullptr : &*found;
    };
    auto after = [&](std::string_view prefix) -> std::optional<std::string> {
        if (!spec.starts_with(prefix)) return std::nullopt;
        auto rest = unquoted(std::string_view(spec).substr(prefix.size()));
        return rest.empty() ? std::nullopt : std::optional(rest);
    };
    for (std::string_view prefix : {"UUID=", "/dev/disk/by-uuid/"})
        if (auto id = after(prefix)) return by([&](const Volume& v) { return iequals(v.uuid, *id); });
    for (std::string_view prefix : {"PARTUUID=", "/dev/disk/by-partuuid/"})
        if (auto id = after(prefix)) return by([&](const Volume& v) { return iequals(v.partuuid, *id); });
    for (std::string_view prefix : {"LABEL=", "/dev/disk/by-label/"})
        if (auto id = after(prefix)) return by([&](const Volume& v) { return v.label == *id; });
    if (auto name = parse_name(spec))
        if (auto disk = disk_called(name->disk))
            return by([&](const Volume& v) {
                return v.kind == VolumeKind::Partition && v.disk == *disk && v.index == name->index;
            });
    return by([&](const Volume& v) { return std::find(v.names.begin(), v.names.end(), spec) != v.names.end(); });
}

}  // namespace slipway::fixup
