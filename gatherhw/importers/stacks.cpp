// SPDX-License-Identifier: GPL-3.0-or-later
// /proc/mdstat (Linux drivers/md/md.c, md_seq_show), /etc/lvm/backup/GROUP (lvm2, man vgcfgbackup), /etc/fstab
// (fstab(5)).
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
#include "lib/disks/volumes/lvm_text.hpp"

namespace slipway::gatherhw {

namespace {

constexpr std::size_t kMaxText = 1u << 20;  // bytes of such a file: real ones have some KiB
constexpr std::size_t kMaxLogical = 4'000;  // of one volume group
constexpr std::uint64_t kMaxBytes = 1ull << 60, kSector = 512;

Status check(const Inventory& machine, std::string_view text, std::string_view what) {
    if (machine.os.family == "windows")
        return make_error(errors::kBadDump, "{} is of a Linux, the dump of Windows", what);
    if (text.size() > kMaxText) return make_error(errors::kBadDump, "{} has {}", what, human_bytes(text.size()));
    return {};
}

// The volumes of an inventory by name; what is added is what it does not have yet.
class Volumes {
public:
    explicit Volumes(Inventory& machine) : machine_(machine) {
        for (std::size_t i = 0; i < machine.volumes.size(); ++i) by_name_.emplace(machine.volumes[i].name, i);
        for (const auto& v : machine.volumes) by_path_.emplace(v.path, v.name);
        for (auto& d : machine.disks) {
            disk_of_.emplace(d.name, &d);
            for (const auto& p : d.partitions) disk_of_.emplace(p.name, &d);
        }
    }

    // "/dev/sda2", "sda2" -> "sda2", as the inventory calls it.
    std::string name_of(const std::string& device) const {
        if (auto found = by_path_.find(device); found != by_path_.end()) return found->second;
        for (std::string_view prefix : {"/dev/mapper/", "/dev/"})
            if (device.starts_with(prefix)) return device.substr(prefix.size());
        return device;
    }

    Volume& get(const std::string& name, VolumeKind kind, const std::string& path) {
        auto [at, is_new] = by_name_.emplace(name, machine_.volumes.size());
        if (is_new) machine_.volumes.push_back({.name = name, .path = path, .kind = kind, .backing = {}});
        return machine_.volumes[at->second];
    }

    // A disk, partition or array that is a part of something.
    void part(const std::string& name, std::string_view filesystem, std::string_view pool, std::string_view of) {
        auto disk = disk_of_.find(name);
        if (disk == disk_of_.end() && !by_name_.contains(name))
            return note(machine_, fmt::format("{} of {}", printable(name), printable(of)),
                        "no disk, partition or array of that name is known");
        auto& v = get(name, VolumeKind::Partition, "/dev/" + name);
        if (v.filesystem.empty()) v.filesystem = filesystem;
        for (const auto& below : v.backing)
            if (disk == disk_of_.end()) disk = disk_of_.find(below);
        if (disk != disk_of_.end()) add_member(*disk->second, pool);
    }

    bool full() const { return machine_.volumes.size() >= kMaxListed; }

private:
    Inventory& machine_;
    std::map<std::string, std::size_t> by_name_;
    std::map<std::string, std::string> by_path_;
    std::map<std::string, Disk*> disk_of_;  // by its name and its partitions
};

// ---- LVM

// "vg-a", "root" -> "vg--a-root": a dash of a name is doubled (device mapper).
std::string mapped_name(std::string_view group, std::string_view logical) {
    std::string out;
    for (char c : group) out += c == '-' ? std::string("--") : std::string(1, c);
    out += '-';
    for (char c : logical) out += c == '-' ? std::string("--") : std::string(1, c);
    return out;
}

struct Group {
    const disks::LvmSection& section;
    std::uint64_t extent = 0;                          // bytes
    std::map<std::string, std::string> physical = {};  // "pv0" -> name of its device
    std::map<std::string, const disks::LvmSection*> logical = {};
};

std::uint64_t size_of(const disks::LvmSection& logical, std::uint64_t extent) {
    std::uint64_t extents = 0;
    for (const auto& segment : logical.sections)
        extents += std::min(segment.number("extent_count").value_or(0), kMaxBytes / kSector);
    return extents > kMaxBytes / extent ? 0 : extents * extent;
}

// The devices below a logical volume, through the hidden ones that it is made of. steps: so many values of settings are
// looked at, in all of a group; nothing when they are used up.
std::vector<std::string> devices_below(const Group& group, const std::string& logical, std::size_t& steps) {
    std::set<std::string> seen{logical}, devices;
    std::vector<const disks::LvmSection*> left{group.logical.at(logical)};
    while (!left.empty()) {
        const auto* lv = left.back();
        left.pop_back();
        for (const auto& segment : lv->sections)
            for (const auto& setting : segment.settings)
                for (const auto& value : setting.values) {
                    if (steps == 0) return {};
                    --steps;
                    const auto* name = std::get_if<std::string>(&value);
                    if (!name) continue;
                    if (auto pv = group.physical.find(*name); pv != group.physical.end()) devices.insert(pv->second);
                    else if (auto below = group.logical.find(*name);
                             below != group.logical.end() && seen.insert(*name).second)
                        left.push_back(below->second);
                }
    }
    return {devices.begin(), devices.end()};
}

void add_group(const disks::LvmSection& section, Inventory& out, Volumes& volumes) {
    Group group{section, section.number("extent_size").value_or(0) * kSector};
    for (const auto& pv : section.section("physical_volumes")->sections) {
        auto device = volumes.name_of(pv.text("device"));
        if (device.empty() || group.physical.size() == kMaxLogical) continue;
        group.physical[pv.name] = device;
        volumes.part(device, "lvm2-member", "lvm", section.name);
    }
    const auto* logical = section.section("logical_volumes");
    if (!logical) return;
    for (const auto& lv : logical->sections)
        if (group.logical.size() < kMaxLogical) group.logical[lv.name] = &lv;
    std::size_t steps = 2'000'000;
    for (const auto& [name, lv] : group.logical) {
        if (!lv->has("status", "VISIBLE")) continue;
        if (volumes.full()) return note(out, "volumes of " + printable(section.name), "there are too many");
        auto mapped = mapped_name(section.name, name);
        auto& v = volumes.get(mapped, VolumeKind::Lvm, "/dev/mapper/" + mapped);
        v.kind = VolumeKind::Lvm;
        if (v.backing.empty()) v.backing = devices_below(group, name, steps);
        if (v.size == 0) v.size = size_of(*lv, group.extent);
        if (v.detail.empty()) v.detail = "volume group " + section.name;
    }
}

// ---- md

// "md0 : active raid1 sdb1[1] sda1[0](F)"; words[0] is the array's.
void add_array(const std::vector<std::string>& words, const std::vector<std::string>& next, Volumes& volumes) {
    std::vector<std::string> members;
    std::string level;
    for (std::size_t i = 3; i < words.size(); ++i) {
        auto open = words[i].find('[');
        if (open != std::string::npos && open > 0) members.push_back(volumes.name_of(words[i].substr(0, open)));
        else if (words[i].front() != '(' && level.empty()) level = words[i];
    }
    // An array over another one finds it whichever line comes first: /proc/mdstat has the newest first.
    for (const auto& m : members) volumes.part(m, "linux-raid-member", "md", words[0]);
    auto& v = volumes.get(words[0], VolumeKind::Md, "/dev/" + words[0]);
    v.kind = VolumeKind::Md;
    if (v.backing.empty()) v.backing = members;
    const bool described = !v.detail.empty();
    if (!described) v.detail = level;
    constexpr std::uint64_t kKib = 1024;
    if (v.size == 0 && next.size() > 1 && next[1] == "blocks")
        v.size = std::min(parse_u64(next[0]).value_or(0), kMaxBytes / kKib) * kKib;
    // "[2/1]": so many members there should be, so many are in it.
    for (const auto& word : next) {
        auto slash = word.find('/');
        if (!word.starts_with('[') || !word.ends_with(']') || slash == std::string::npos) continue;
        auto all = parse_u64(word.substr(1, slash - 1));
        auto there = parse_u64(word.substr(slash + 1, word.size() - slash - 2));
        if (!described && all && there && *there < *all) v.detail += fmt::format(", {} of {} members", *there, *all);
    }
}

// ---- fstab

// mapped: what spec is by the device mapper, when it is "/dev/GROUP/VOLUME".
bool is_named(const Volume& v, std::string_view spec, const std::string& mapped) {
    auto is = [&](std::string_view key, const std::string& value) {
        if (!spec.starts_with(key) || value.empty()) return false;
        auto given = spec.substr(key.size());
        if (given.size() >= 2 && given.front() == '"') given = given.substr(1, given.size() - 2);
        return iequals(given, value);
    };
    if (is("UUID=", v.uuid) || is("LABEL=", v.label)) return true;
    if (!spec.starts_with("/dev/")) return false;
    return spec == v.path || spec.substr(5) == v.name || (v.kind == VolumeKind::Lvm && v.name == mapped);
}

void add_line(const std::vector<std::string>& line, Inventory& out) {
    const auto spec = unescape(line[0]), point = line[2] == "swap" ? "swap" : unescape(line[1]);
    const auto slash = spec.starts_with("/dev/") ? spec.find('/', 5) : std::string::npos;
    const auto mapped =
        slash == std::string::npos ? "" : mapped_name(spec.substr(5, slash - 5), spec.substr(slash + 1));
    auto v = std::find_if(out.volumes.begin(), out.volumes.end(),
                          [&](const Volume& x) { return is_named(x, spec, mapped); });
    if (v == out.volumes.end()) {
        if (spec.starts_with("/dev/") || spec.starts_with("UUID=") || spec.starts_with("LABEL="))
            note(out, "what lies at " + printable(point),
                 fmt::format("fstab calls it {}, and no volume is known by that", printable(spec)));
        return;
    }
    if (v->fstab_spec.empty()) v->fstab_spec = spec;
    if (v->filesystem.empty() && line[2] != "auto") v->filesystem = filesystem_name(line[2]);
    const bool listed = std::find(v->mount_points.begin(), v->mount_points.end(), point) != v->mount_points.end();
    if (!v->mounted && !listed) v->mount_points.push_back(point);
    if (v->mount_options.empty() && line.size() > 3) v->mount_options = line[3];
}

}  // namespace

Status add_mdstat(Inventory& out, std::string_view text) {
    TRY(check(out, text, "mdstat"));
    if (!text.starts_with("Personalities")) return make_error(errors::kBadDump, "mdstat begins with 'Personalities'");
    Volumes volumes(out);
    std::vector<std::vector<std::string>> lines;
    for (const auto& line : split(text, '\n')) lines.push_back(words(line));
    // From the last to the first: an array is made after those that it lies on.
    for (std::size_t i = lines.size(); i-- > 0;) {
        const auto& line = lines[i];
        if (line.size() < 4 || line[1] != ":" || !line[0].starts_with("md")) continue;
        if (volumes.full()) break;
        if (line[2] == "active") add_array(line, i + 1 < lines.size() ? lines[i + 1] : line, volumes);
        else note(out, "array " + printable(line[0]), "it was not active when /proc/mdstat was read");
    }
    tidy(out);
    return {};
}

Status add_lvm_backup(Inventory& out, std::string_view text) {
    TRY(check(out, text, "an LVM backup"));
    auto root = disks::parse_lvm_text(text);
    if (!root) return make_error(errors::kBadDump, "no backup of a volume group: {}", root.error().message());
    Volumes volumes(out);
    bool any = false;
    for (const auto& section : root->sections) {
        const auto extent = section.number("extent_size").value_or(0);
        if (!section.section("physical_volumes") || extent == 0 || extent > kMaxBytes / kSector) continue;
        add_group(section, out, volumes);
        any = true;
    }
    if (!any) return make_error(errors::kBadDump, "it has no volume group with physical volumes");
    tidy(out);
    return {};
}

Status add_fstab(Inventory& out, std::string_view text) {
    TRY(check(out, text, "fstab"));
    constexpr std::size_t kMaxLines = 1'000;
    std::size_t taken = 0;
    for (const auto& line : split(text, '\n')) {
        auto w = words(line);
        if (w.size() < 3 || w[0].starts_with('#') || ++taken > kMaxLines) continue;
        add_line(w, out);
    }
    if (taken == 0) return make_error(errors::kBadDump, "fstab has no line with a device, a place and a type");
    return {};
}

}  // namespace slipway::gatherhw
