// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/validation/finding.hpp"

#include <algorithm>

namespace slipway::vmscript {

namespace {

struct GroupName {
    Group group;
    std::string_view name, title;
};
constexpr GroupName kGroups[] = {
    {Group::Inventory, "inventory", "Inventory"},
    {Group::Processor, "processor", "Processor"},
    {Group::Memory, "memory", "Memory"},
    {Group::Disks, "disks", "Disks"},
    {Group::FileSystems, "file-systems", "File systems"},
    {Group::Boot, "boot", "Boot"},
    {Group::System, "os", "Operating system"},
    {Group::Network, "network", "Network"},
    {Group::Services, "services", "Services and drivers"},
    {Group::Devices, "devices", "Devices that stay behind"},
    {Group::Agent, "agent", "Deployment Agent"},
    {Group::Space, "space", "Space"},
    {Group::Fleet, "fleet", "Other machines"},
};

const GroupName& row_of(Group group) {
    return *std::find_if(std::begin(kGroups), std::end(kGroups), [&](const auto& g) { return g.group == group; });
}

constexpr Group kOrder[] = {Group::Inventory, Group::Processor, Group::Memory,  Group::Disks,    Group::FileSystems,
                            Group::Boot,      Group::System,    Group::Network, Group::Services, Group::Devices,
                            Group::Agent,     Group::Space,     Group::Fleet};
static_assert(std::size(kOrder) == std::size(kGroups));

}  // namespace

std::string_view name_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::Ok: return "OK";
        case Verdict::NotChecked: return "not checked";
        case Verdict::Note: return "note";
        case Verdict::Warning: return "warning";
        case Verdict::Error: return "error";
    }
    return "?";
}

std::span<const Group> all_groups() { return kOrder; }
std::string_view name_of(Group group) { return row_of(group).name; }
std::string_view title_of(Group group) { return row_of(group).title; }

const Group* find_group(std::string_view name) {
    auto found = std::find_if(std::begin(kGroups), std::end(kGroups), [&](const auto& g) { return g.name == name; });
    return found == std::end(kGroups) ? nullptr : &found->group;
}

Verdict worst(const std::vector<Finding>& findings) {
    auto verdict = Verdict::Ok;
    for (const auto& f : findings) verdict = std::max(verdict, f.verdict);
    return verdict;
}

ExitCode exit_code_of(Verdict verdict) {
    return verdict < Verdict::Warning ? kExitDone : verdict == Verdict::Warning ? kExitWarnings : kExitFailed;
}

}  // namespace slipway::vmscript
