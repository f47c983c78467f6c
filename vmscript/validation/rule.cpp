// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/validation/rule.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"

namespace slipway::vmscript {

using namespace gatherhw;

namespace {

const Volume* find_root(const Inventory& machine) {
    for (const auto& v : machine.volumes)
        if (v.boot_volume == true) return &v;
    auto find = [&](std::string_view point) -> const Volume* {
        for (const auto& v : machine.volumes)
            for (const auto& m : v.mount_points)
                if (iequals(std::string_view(m).substr(0, m.ends_with('\\') ? m.size() - 1 : m.size()), point))
                    return &v;
        return nullptr;
    };
    if (machine.os.family != "windows") return find("/");
    return find(machine.os.system_root.size() >= 2 ? machine.os.system_root.substr(0, 2) : "C:");
}

bool same_module(std::string_view a, std::string_view b) {
    return a.size() == b.size() && std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) {
               return (x == '-' ? '_' : x) == (y == '-' ? '_' : y);
           });
}

std::vector<Rule> all_rules() {
    std::vector<Rule> out;
    for (auto table : {machine_rules(), disk_rules(), stack_rules(), file_system_rules(), boot_rules(), linux_rules(),
                       network_rules(), windows_rules(), service_rules(), device_rules(), around_rules()})
        out.insert(out.end(), table.begin(), table.end());
    std::stable_sort(out.begin(), out.end(), [](const Rule& a, const Rule& b) { return a.group < b.group; });
    return out;
}

}  // namespace

Facts::Facts(const Inventory& inventory, const Switches& s, const Surroundings& surroundings,
             const std::vector<std::string>& warnings)
    : machine(inventory),
      switches(s),
      around(surroundings),
      reader_warnings(warnings),
      choice(choose_disks(inventory, s.excluded_drives)),
      controller(choose_controller(s.controller, choice.kept, inventory)),
      nics(choose_nics(inventory, s.admin_mac)),
      windows(inventory.os.family == "windows"),
      is_linux(inventory.os.family == "linux"),
      uefi(inventory.system.firmware == Firmware::Uefi),
      nt(nt_version(inventory.os)),
      root(find_root(inventory)) {
    // The system has to migrate: that nobody knows on which disk it lies hides nothing that is known of its volume.
    for (const auto& v : machine.volumes)
        if (migrates(v) || (&v == root && disks_of(machine, v).empty())) kept_volumes.push_back(&v);
}

bool Facts::kept(const Disk& disk) const {
    return std::find(choice.kept.begin(), choice.kept.end(), &disk) != choice.kept.end();
}

bool Facts::migrates(const Volume& volume) const {
    auto on = disks_of(machine, volume);
    return std::any_of(choice.kept.begin(), choice.kept.end(), [&](auto* d) {
        return d->name == volume.name || std::find(on.begin(), on.end(), d->name) != on.end();
    });
}

const Volume* Facts::mounted_at(std::string_view point) const {
    for (const auto& v : machine.volumes)
        if (std::find(v.mount_points.begin(), v.mount_points.end(), point) != v.mount_points.end()) return &v;
    return nullptr;
}

bool Facts::has_file(std::string_view prefix) const {
    return std::any_of(machine.boot.files.begin(), machine.boot.files.end(),
                       [&](const auto& f) { return f.path.starts_with(prefix); });
}

const Driver* Facts::driver(std::string_view name) const {
    auto found = std::find_if(machine.drivers.begin(), machine.drivers.end(),
                              [&](const auto& d) { return same_module(d.name, name); });
    return found == machine.drivers.end() ? nullptr : &*found;
}

std::uint64_t Facts::vm_memory_mib() const { return switches.memory_mib.value_or(machine.system.memory_bytes >> 20); }

std::vector<std::string> Facts::kernel_arguments() const {
    std::vector<std::string> out;
    for (auto& word : split(machine.boot.kernel_command_line, ' '))
        if (!word.empty()) out.push_back(std::move(word));
    return out;
}

bool Facts::not_read(std::string_view what) const {
    return std::any_of(machine.unread.begin(), machine.unread.end(), [&](const auto& u) { return u.what == what; });
}

std::string Facts::address_of(const NetworkAdapter& adapter) const {
    auto mac = MacAddress::parse(hardware_mac(adapter));
    return mac ? mac->text() : std::string();
}

std::string Facts::to_know(std::string_view by_gatherhw, std::string_view import) const {
    return windows ? fmt::format("Import {} with the rest (docs/windows.md, \"What to take from the source\").", import)
                   : std::string(by_gatherhw);
}

void Findings::add(Verdict verdict, const std::string& what, const std::string& found, const std::string& to_do) {
    out_.push_back({std::string(rule_.id), rule_.group, std::string(rule_.title), printable(what), verdict,
                    printable(found), std::string(rule_.why), printable(to_do), rule_.forcible});
}

const std::vector<Rule>& rules() {
    static const std::vector<Rule> all = all_rules();
    return all;
}

const Rule* find_rule(std::string_view id) {
    auto found = std::find_if(rules().begin(), rules().end(), [&](const auto& r) { return r.id == id; });
    return found == rules().end() ? nullptr : &*found;
}

}  // namespace slipway::vmscript
