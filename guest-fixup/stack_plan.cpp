// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/stack_plan.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr std::string_view kNameCharacters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.+-";
constexpr std::size_t kLongestName = 127;  // of LVM and of device-mapper

// mdadm's spelling: four words of eight digits.
std::string md_id(const Uuid& set) {
    std::string out;
    for (std::size_t i = 0; i < set.octets.size(); ++i)
        out += fmt::format("{}{:02x}", i && i % 4 == 0 ? ":" : "", set.octets[i]);
    return out;
}

// How few members a level runs with.
std::uint32_t fewest(const disks::MdSuper& super) {
    switch (super.level) {
        case 1: return 1;
        case 4:
        case 5: return super.disks - std::min(super.disks, 1u);
        case 6: return super.disks - std::min(super.disks, 2u);
        case 10: return (super.disks + 1) / 2;  // which half, the kernel knows
        default: return super.disks;
    }
}

ArrayPlan plan_array(std::vector<const MdMember*> members) {
    // The newest state is the array's; the others were left behind by it.
    const auto* newest = *std::max_element(
        members.begin(), members.end(), [](const auto* a, const auto* b) { return a->super.events < b->super.events; });
    const auto& super = newest->super;
    ArrayPlan plan{.id = md_id(super.set), .name = disks::md_name(super)};
    std::set<unsigned> roles;
    for (const auto* member : members) {
        // A stop may reach one member and not the next: one event apart is the same state to the kernel.
        if (member->super.events + 1 < super.events || !member->super.role) continue;
        if (!roles.insert(*member->super.role).second) {
            plan.refused = fmt::format("two disks say that they are its member {}", *member->super.role);
            return plan;
        }
        plan.members.push_back(member->volume);
    }
    const auto here = roles.size();
    if (here < super.active)
        plan.refused =
            fmt::format("{} of its {} members are not on the given disks", super.active - here, super.active);
    else if (here < fewest(super) || here == 0)
        plan.refused = fmt::format("it has {} of {} members, which is too few", here, super.disks);
    plan.degraded = here < super.disks;
    return plan;
}

// `key = "value"` of the group's section.
std::string system_id_of(std::string_view text) {
    const auto root = disks::parse_lvm_text(text);
    if (!root || root->sections.empty()) return {};
    auto id = root->sections.front().text("system_id");
    const bool plain = id.size() <= kLongestName && id.find_first_not_of(kNameCharacters) == std::string::npos;
    return plain ? id : std::string();
}

// It stands in lvm's --select.
bool valid_group_uuid(std::string_view uuid) {
    return uuid.size() == 38 && valid_group_name(uuid) && uuid.find_first_of("_.+") == std::string_view::npos;
}

// A snapshot is named by a hidden volume (cow_store), a thin one names what it was taken of.
std::set<std::string> snapshots_of(const disks::LvmGroup& group) {
    std::set<std::string> out;
    for (const auto& [name, volume] : group.logical)
        for (const auto& segment : volume.segments) {
            if (segment.type == "thin" && segment.texts.contains("origin")) out.insert(name);
            if (auto cow = segment.texts.find("cow_store"); cow != segment.texts.end()) out.insert(cow->second);
        }
    return out;
}

std::string without_dashes(std::string_view uuid) {
    std::string out;
    std::copy_if(uuid.begin(), uuid.end(), std::back_inserter(out), [](char c) { return c != '-'; });
    return out;
}

// A path of this host in a pattern of lvm.conf.
std::string pattern(const std::filesystem::path& path) {
    std::string out;
    for (char c : path.string()) {
        // A dot is any sign, and needs no quoting within quotes.
        out += std::string_view("+*?[](){}^$|\\\"").find(c) != std::string_view::npos ? '.' : c;
    }
    return "\"a|^" + out + "$|\"";
}

}  // namespace

std::vector<ArrayPlan> plan_arrays(const std::vector<MdMember>& members) {
    std::map<std::string, std::vector<const MdMember*>> sets;
    for (const auto& member : members) sets[md_id(member.super.set)].push_back(&member);
    std::vector<ArrayPlan> plans;
    for (auto& [id, set] : sets) plans.push_back(plan_array(std::move(set)));
    return plans;
}

std::vector<GroupPlan> plan_groups(const std::vector<PhysicalVolume>& physical) {
    // Of several copies of a group's text the newest counts.
    std::map<std::string, const PhysicalVolume*> newest;
    for (const auto& pv : physical) {
        if (!pv.metadata.group) continue;
        auto& known = newest[pv.metadata.group->uuid];
        if (!known || known->metadata.group->seqno < pv.metadata.group->seqno) known = &pv;
    }
    std::vector<GroupPlan> plans;
    for (const auto& [uuid, holder] : newest) {
        const auto& group = *holder->metadata.group;
        GroupPlan plan{.name = group.name, .uuid = uuid, .system_id = system_id_of(holder->metadata.text)};
        plan.snapshots = snapshots_of(group);
        std::size_t missing = 0;
        for (const auto& [name, member] : group.physical) {
            const auto here = std::count_if(physical.begin(), physical.end(),
                                            [&](const auto& pv) { return pv.label.uuid == member.uuid; });
            if (here > 1) plan.refused = fmt::format("two disks say that they are its {}", name);
            if (here == 0) ++missing;
        }
        for (const auto& pv : physical)
            for (const auto& [name, member] : group.physical)
                if (pv.label.uuid == member.uuid) plan.members.push_back(pv.volume);
        if (missing)
            plan.refused =
                fmt::format("{} of its {} physical volumes are not on the given disks", missing, group.physical.size());
        if (!valid_group_name(group.name) || !valid_group_uuid(uuid))
            plan.refused = "its name or UUID is none that LVM would give";
        plans.push_back(std::move(plan));
    }
    return plans;
}

bool valid_group_name(std::string_view name) {
    return !name.empty() && name.size() <= kLongestName && name != "." && name != ".." && name[0] != '-' &&
           name.find_first_not_of(kNameCharacters) == std::string_view::npos;
}

bool valid_mapping_name(std::string_view name) { return valid_group_name(name) && name != "control"; }

std::string mapping_name(std::string_view group, std::string_view volume) {
    std::string out;
    for (auto part : {group, volume}) {
        if (!out.empty()) out += '-';
        for (char c : part) out += c == '-' ? "--" : std::string(1, c);
    }
    return out;
}

std::optional<LogicalName> parse_mapping_name(std::string_view name) {
    LogicalName out;
    bool behind = false;
    for (std::size_t i = 0; i < name.size(); ++i) {
        auto& part = behind ? out.volume : out.group;
        if (name[i] != '-') part += name[i];
        else if (i + 1 < name.size() && name[i + 1] == '-') part += name[i++];
        else if (behind) return std::nullopt;  // a layer below a volume: "vg-lv-real"
        else behind = true;
    }
    if (!valid_group_name(out.group) || !valid_group_name(out.volume)) return std::nullopt;
    return out;
}

std::vector<Mapping> volumes_of_group(const std::vector<Mapping>& all, std::string_view group_uuid) {
    // "LVM-", the group's and the volume's UUID without dashes; what has more behind it is a part.
    const auto prefix = "LVM-" + without_dashes(group_uuid);
    constexpr std::string_view kParts[] = {"_tmeta",  "_tdata", "_rmeta", "_rimage", "_mlog",
                                           "_mimage", "_cmeta", "_cdata", "_corig",  "_vdata"};
    std::vector<Mapping> out;
    for (const auto& mapping : all) {
        if (!mapping.uuid.starts_with(prefix) || mapping.uuid.size() != prefix.size() + 32) continue;
        const auto name = parse_mapping_name(mapping.name);
        // LVM keeps these words from users.
        if (!name || std::any_of(std::begin(kParts), std::end(kParts),
                                 [&](auto part) { return name->volume.find(part) != std::string::npos; }))
            continue;
        out.push_back(mapping);
    }
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
    return out;
}

bool group_is_active(const std::vector<Mapping>& all, std::string_view name, std::string_view uuid) {
    const auto id = "LVM-" + without_dashes(uuid);
    const auto prefix = mapping_name(name, "");
    return std::any_of(all.begin(), all.end(), [&](const Mapping& mapping) {
        if (!mapping.uuid.starts_with("LVM-")) return false;
        // A dash behind it belongs to the group's own name.
        const bool same_name = !name.empty() && mapping.name.starts_with(prefix) &&
                               mapping.name.size() > prefix.size() && mapping.name[prefix.size()] != '-';
        return mapping.uuid.starts_with(id) || same_name;
    });
}

std::string lvm_config(const std::vector<std::filesystem::path>& devices, const GroupPlan& group,
                       const std::filesystem::path& run, bool read_only, bool thin_check) {
    std::vector<std::string> filter;
    for (const auto& device : devices) filter.push_back(pattern(device));
    filter.emplace_back("\"r|.*|\"");
    const auto accepted = join(filter, ",");
    std::string out = fmt::format(
        "devices {{ use_devicesfile=0 obtain_device_list_from_udev=0 external_device_info_source=\"none\" dir=\"/dev\" "
        "scan=[\"/dev\"] filter=[{0}] global_filter=[{0}] }} "
        "activation {{ udev_sync=0 udev_rules=0 monitoring=0 verify_udev_operations=0 }} "
        "global {{ use_lvmpolld=0 use_lvmlockd=0 locking_dir=\"{1}\"{2} }} backup {{ backup=0 archive=0 }}",
        accepted, run.string(), thin_check ? "" : " thin_check_executable=\"\"");
    if (read_only) out += fmt::format(" activation/read_only_volume_list=[\"{}\"]", group.name);
    if (!group.system_id.empty()) out += fmt::format(" local/extra_system_ids=[\"{}\"]", group.system_id);
    return out;
}

}  // namespace slipway::fixup
