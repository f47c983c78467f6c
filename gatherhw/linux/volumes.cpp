// SPDX-License-Identifier: GPL-3.0-or-later
// What lies on partitions, whole disks, LVM, RAID and encryption: file systems, their use, where they are mounted.
#include <algorithm>
#include <array>

#include <fmt/format.h>
#include <sys/statvfs.h>

#include "gatherhw/linux/classify.hpp"
#include "gatherhw/linux/parts.hpp"
#include "lib/base/bytes.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/block.hpp"
#include "lib/disks/used_map.hpp"

namespace slipway::gatherhw {

std::string unescape(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        auto octal = [&](std::size_t at) { return at < text.size() && text[at] >= '0' && text[at] <= '7'; };
        if (text[i] == '\\' && octal(i + 1) && octal(i + 2) && octal(i + 3)) {
            out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
            i += 3;
        } else {
            out += text[i];
        }
    }
    return out;
}

namespace {

struct Mount {
    std::string number, source, root, point, filesystem, options, super_options;
};

// proc(5): id parent major:minor root point options [optional…] - type source super-options
std::vector<Mount> read_mounts(Tree& tree) {
    std::vector<Mount> out;
    for (const auto& line : tree.lines("/proc/self/mountinfo")) {
        auto w = words(line);
        auto dash = std::find(w.begin(), w.end(), "-");
        if (w.size() < 10 || w.end() - dash < 3) continue;
        out.push_back({w[2], unescape(dash[2]), unescape(w[3]), unescape(w[4]), dash[1], w[5],
                       w.end() - dash > 3 ? dash[3] : ""});
    }
    if (!out.empty()) return out;
    for (const auto& line : tree.lines("/proc/mounts")) {
        auto w = words(line);
        if (w.size() >= 4) out.push_back({"", unescape(w[0]), "/", unescape(w[1]), w[2], w[3], ""});
    }
    return out;
}

struct FstabLine {
    std::string spec, point, filesystem, options;
};

std::vector<FstabLine> read_fstab(Tree& tree) {
    std::vector<FstabLine> out;
    for (const auto& line : tree.lines("/etc/fstab")) {
        auto w = words(line);
        if (w.size() >= 3 && !w[0].starts_with('#'))
            out.push_back({unescape(w[0]), unescape(w[1]), w[2], w.size() > 3 ? w[3] : ""});
    }
    return out;
}

VolumeState state_of(disks::VolumeState state) {
    switch (state) {
        case disks::VolumeState::Clean: return VolumeState::Clean;
        case disks::VolumeState::NeedsRecovery: return VolumeState::NeedsRecovery;
        case disks::VolumeState::Hibernated: return VolumeState::Hibernated;
        case disks::VolumeState::Unknown: return VolumeState::Unknown;
    }
    return VolumeState::Unknown;
}

bool holds_others(const Volume& v) { return v.filesystem == "lvm2-member" || v.filesystem == "linux-raid-member"; }

class VolumeProbe {
public:
    VolumeProbe(Tree& tree, const LinuxProbeOptions& options, Inventory& out)
        : tree_(tree), options_(options), out_(out), mounts_(read_mounts(tree)), fstab_(read_fstab(tree)) {
        for (const auto& line : tree.lines("/proc/swaps"))
            if (line.starts_with("/")) swaps_.push_back(unescape(words(line)[0]));
    }

    void run() {
        for (const auto& disk : out_.disks) {
            for (const auto& p : disk.partitions)
                add({.name = p.name,
                     .path = "/dev/" + p.name,
                     .kind = VolumeKind::Partition,
                     .backing = {disk.name},
                     .size = p.length},
                    "/sys/block/" + disk.name + "/" + p.name, p.uuid);
            Volume whole{.name = disk.name, .path = disk.path, .kind = VolumeKind::Disk, .size = disk.size};
            if (disk.partitions.empty()) add(std::move(whole), "/sys/block/" + disk.name, "");
        }
        for (const auto& name : tree_.list("/sys/block"))
            if (name.starts_with("dm-") || name.starts_with("md")) add_stacked(name);
    }

private:
    void add_stacked(const std::string& name) {
        auto directory = "/sys/block/" + name;
        Volume v{.name = name, .path = "/dev/" + name, .size = tree_.number(directory + "/size") * 512};
        if (v.size == 0) return;
        for (const auto& below : tree_.list(directory + "/slaves")) v.backing.push_back(public_name(below));
        if (name.starts_with("md")) {
            v.kind = VolumeKind::Md;
            v.detail = tree_.line(directory + "/md/level");
        } else {
            auto uuid = tree_.line(directory + "/dm/uuid");
            v.name = public_name(name);
            v.path = "/dev/mapper/" + v.name;
            v.kind = uuid.starts_with("LVM-")     ? VolumeKind::Lvm
                     : uuid.starts_with("CRYPT-") ? VolumeKind::Crypt
                     : uuid.starts_with("mpath-") ? VolumeKind::Multipath
                                                  : VolumeKind::Unknown;
            if (v.kind == VolumeKind::Lvm) v.detail = "volume group " + volume_group(v.name);
        }
        add(std::move(v), directory, "");
    }

    std::string public_name(const std::string& kernel_name) {
        auto mapped = tree_.line("/sys/block/" + kernel_name + "/dm/name");
        return mapped.empty() ? kernel_name : mapped;
    }

    // "vg--a-root": a doubled dash is one of the name, a single one ends the group's.
    static std::string volume_group(const std::string& mapped) {
        std::string out;
        for (std::size_t i = 0; i < mapped.size(); ++i) {
            if (mapped[i] == '-' && (i + 1 == mapped.size() || mapped[i + 1] != '-')) break;
            if (mapped[i] == '-') ++i;
            out += mapped[i];
        }
        return out;
    }

    void add(Volume v, const std::string& directory, const std::string& part_uuid) {
        auto number = tree_.line(directory + "/dev");
        auto udev = udev_properties(tree_, "b" + number);
        v.filesystem = filesystem_name(udev["ID_FS_TYPE"]);
        v.label = udev["ID_FS_LABEL"];
        v.uuid = udev["ID_FS_UUID"];
        if (options_.read_disks) read_content(v);
        find_mounts(v, number);
        find_fstab(v, part_uuid);
        if (v.kind == VolumeKind::Disk && v.filesystem.empty() && v.mount_points.empty()) return;
        // A mounted volume's journal is open: what it will be after the shutdown is not known yet.
        if (v.mounted) v.state = VolumeState::Unknown;
        if (v.encryption.empty()) v.encryption = encryption_of_filesystem(v.filesystem);
        if (holds_others(v)) v.used.reset();
        out_.volumes.push_back(std::move(v));
    }

    void read_content(Volume& v) {
        auto where = tree_.host(v.path);
        if (where) {
            auto device = disks::FileDisk::open(*where, disks::OpenMode::ReadOnly);
            if (!device) return tree_.unreadable(v.path, device.error().message());
            return take_map(v, **device);
        }
        // A captured tree has images of disks at most.
        const auto* disk = v.backing.size() == 1 ? find_disk(out_, v.backing[0]) : nullptr;
        auto disk_path = disk ? tree_.host(disk->path) : std::nullopt;
        if (!disk_path) return;
        auto device = disks::FileDisk::open(*disk_path, disks::OpenMode::ReadOnly);
        if (!device) return;
        for (const auto& p : disk->partitions) {
            if (p.name != v.name) continue;
            disks::OffsetLayer window(**device, p.offset, p.length);
            take_map(v, window);
        }
    }

    void take_map(Volume& v, disks::BlockDevice& device) {
        if (is_bitlocker(device)) {
            v.filesystem = v.encryption = "bitlocker";
            return;
        }
        auto map = disks::map_used(device);
        if (!map) return tree_.unreadable(v.path, map.error().describe());
        if (!map->filesystem.empty()) v.filesystem = filesystem_name(map->filesystem);
        if (!map->label.empty()) v.label = map->label;
        if (!map->uuid.empty()) v.uuid = map->uuid;
        v.state = state_of(map->state);
        if (map->why_all.empty()) v.used = map->used.total();
        if (v.filesystem.starts_with("ext")) read_ext(v, device);
    }

    // BitLocker takes the place of the NTFS boot sector and names itself there.
    static bool is_bitlocker(disks::BlockDevice& device) {
        std::array<std::byte, 512> sector{};
        return device.size() >= sector.size() && device.read(0, sector) && as_text(sector).substr(3, 8) == "-FVE-FS-";
    }

    // linux: fs/ext4/ext4.h struct ext4_super_block, at byte 1024.
    static void read_ext(Volume& v, disks::BlockDevice& device) {
        constexpr std::uint64_t kAt = 1024;
        constexpr std::uint16_t kMagic = 0xef53, kErrorFs = 2;
        constexpr std::uint32_t kEncrypt = 0x10000;
        std::array<std::byte, 1024> block{};
        if (device.size() < kAt + block.size() || !device.read(kAt, block)) return;
        ByteReader reader(block);
        auto at = [&](std::size_t offset) -> ByteReader& { return reader.seek(offset), reader; };
        if (at(0x38).le16() != kMagic) return;
        auto log_size = at(0x18).le32();
        if (log_size <= 6) v.cluster = 1024u << log_size;
        v.has_errors = (at(0x3a).le16() & kErrorFs) != 0 || at(0x194).le32() != 0;
        if (at(0x60).le32() & kEncrypt) v.encryption = "fscrypt";
        auto where = at(0x88).text(64);
        v.last_mount_point = printable(where.substr(0, where.find('\0')));
    }

    bool is_source(const Volume& v, const Mount& m, const std::string& number) const {
        if (!m.number.empty() && m.number == number) return true;
        return m.source.starts_with("/dev/") && same_device(m.source, v);
    }

    bool same_device(const std::string& path, const Volume& v) const {
        if (path == v.path) return true;
        auto mine = tree_.resolve(v.path), other = tree_.resolve(path);
        if (mine && other && *mine == *other) return true;
        return lvm_path(v) == path;
    }

    // "/dev/vg/lv", as LVM's own links have it.
    static std::string lvm_path(const Volume& v) {
        if (v.kind != VolumeKind::Lvm) return {};
        auto group = volume_group(v.name);
        std::string raw_group = group, rest;
        std::size_t at = 0;
        while ((at = raw_group.find('-', at)) != std::string::npos) raw_group.insert(at, "-"), at += 2;
        rest = v.name.substr(std::min(v.name.size(), raw_group.size() + 1));
        std::string volume;
        for (std::size_t i = 0; i < rest.size(); ++i) {
            volume += rest[i];
            if (rest[i] == '-') ++i;
        }
        return "/dev/" + group + "/" + volume;
    }

    void find_mounts(Volume& v, const std::string& number) {
        for (const auto& m : mounts_) {
            if (!is_source(v, m, number)) continue;
            if (m.root != "/" && m.filesystem != "btrfs") continue;  // a bind mount shows the volume again
            if (!v.mounted) {
                v.filesystem = m.filesystem;
                v.mount_options = m.options;
                read_options(m.options + "," + m.super_options, v);
                read_use(v, m.point);
            }
            v.mounted = true;
            v.mount_points.push_back(m.point);
        }
        auto is_this = [&](const std::string& path) { return same_device(path, v); };
        if (std::any_of(swaps_.begin(), swaps_.end(), is_this)) {
            v.filesystem = "swap";
            v.mounted = true;
            v.mount_points.push_back("swap");
        }
    }

    void read_use(Volume& v, const std::string& point) {
        struct statvfs s {};
        if (!options_.live || ::statvfs(point.c_str(), &s) != 0 || s.f_blocks == 0) return;
        v.used = (s.f_blocks - s.f_bfree) * static_cast<std::uint64_t>(s.f_frsize);
        v.free = s.f_bavail * static_cast<std::uint64_t>(s.f_frsize);
        if (v.cluster == 0) v.cluster = static_cast<std::uint32_t>(s.f_frsize);
    }

    // Of the mount and of the file system: compress and quotas stand among the latter.
    static void read_options(const std::string& options, Volume& v) {
        for (const auto& option : split(options, ',')) {
            if (option.starts_with("compress")) v.compressed = option != "compress=no";
            if (option.starts_with("usrquota") || option.starts_with("grpquota") || option.starts_with("prjquota"))
                v.quotas = true;
        }
    }

    void find_fstab(Volume& v, const std::string& part_uuid) {
        for (const auto& line : fstab_) {
            if (!names(line.spec, v, part_uuid)) continue;
            if (v.fstab_spec.empty()) v.fstab_spec = line.spec;
            if (v.mounted) continue;
            v.mount_points.push_back(line.filesystem == "swap" ? "swap" : line.point);
            if (v.mount_options.empty()) v.mount_options = line.options;
        }
    }

    bool names(const std::string& spec, const Volume& v, const std::string& part_uuid) const {
        auto is = [&](std::string_view key, const std::string& value) {
            if (!spec.starts_with(key) || value.empty()) return false;
            auto given = std::string_view(spec).substr(key.size());
            if (given.size() >= 2 && given.front() == '"') given = given.substr(1, given.size() - 2);
            return iequals(given, value);
        };
        return is("UUID=", v.uuid) || is("LABEL=", v.label) || is("PARTUUID=", part_uuid) ||
               (spec.starts_with("/dev/") && same_device(spec, v));
    }

    Tree& tree_;
    const LinuxProbeOptions& options_;
    Inventory& out_;
    std::vector<Mount> mounts_;
    std::vector<FstabLine> fstab_;
    std::vector<std::string> swaps_;
};

}  // namespace

void probe_volumes(Tree& tree, const LinuxProbeOptions& options, Inventory& out) {
    VolumeProbe(tree, options, out).run();
    for (const auto& v : out.volumes) {
        auto pool = pool_of_filesystem(v.filesystem);
        if (pool.empty() && v.filesystem == "btrfs" && v.backing.size() > 1) pool = "btrfs";
        auto names = disks_of(out, v);
        for (auto& d : out.disks)
            if (d.name == v.name || std::find(names.begin(), names.end(), d.name) != names.end()) add_member(d, pool);
        // Only an image of this system: it goes into the swap space that it resumes from.
        if (v.filesystem == "swap" && v.state == VolumeState::Hibernated) {
            out.os.hibernated = true;
            out.os.hibernation_evidence = v.path + " holds the image of a suspended system";
        }
    }
}

}  // namespace slipway::gatherhw
