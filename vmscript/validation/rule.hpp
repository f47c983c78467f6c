// SPDX-License-Identifier: GPL-3.0-or-later
// One rule: a row of a table that the engine, the documentation (docs/validation.md), --list-rules and the tests read.
// A rule says nothing of what is not there: no bond, no finding. What it needs and does not know is "not checked".
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "gatherhw/model.hpp"
#include "vmscript/nt.hpp"
#include "vmscript/plan.hpp"
#include "vmscript/validation/finding.hpp"
#include "vmscript/validation/surroundings.hpp"

namespace slipway::vmscript {

// What the rules look at: the inventory and what the plan would make of it.
struct Facts {
    Facts(const gatherhw::Inventory& inventory, const Switches& switches, const Surroundings& around,
          const std::vector<std::string>& reader_warnings);

    const gatherhw::Inventory& machine;
    const Switches& switches;
    const Surroundings& around;
    const std::vector<std::string>& reader_warnings;
    DiskChoice choice;
    Controller controller;
    std::vector<const gatherhw::NetworkAdapter*> nics;
    bool windows, is_linux, uefi;
    std::optional<NtVersion> nt;
    const gatherhw::Volume* root = nullptr;             // "/", or what holds %SystemRoot%; nullptr: not known
    std::vector<const gatherhw::Volume*> kept_volumes;  // on disks that migrate

    bool kept(const gatherhw::Disk& disk) const;
    bool migrates(const gatherhw::Volume& volume) const;
    const gatherhw::Volume* mounted_at(std::string_view point) const;
    bool has_file(std::string_view prefix) const;                 // among the boot configuration's files
    const gatherhw::Driver* driver(std::string_view name) const;  // '-' and '_' are one
    std::uint64_t vm_memory_mib() const;                          // 0: not known
    std::vector<std::string> kernel_arguments() const;
    bool not_read(std::string_view what) const;                             // the inventory says that it lacks these
    std::string address_of(const gatherhw::NetworkAdapter& adapter) const;  // of its VM adapter, lower case
    // Where a fact comes from. There is no gatherhw for Windows: there it is what to import ("Win32_DiskDrive").
    std::string to_know(std::string_view by_gatherhw, std::string_view import) const;
};

class Findings;

struct Rule {
    std::string_view id;
    Group group;
    Verdict worst;           // the worst that it says
    std::string_view title;  // what it looks at
    std::string_view why;    // why that matters
    void (*look)(const Facts&, Findings&);
    bool forcible = false;
};

// Where a rule says what it found. Texts of the inventory become printable here.
class Findings {
public:
    Findings(const Rule& rule, std::vector<Finding>& out) : rule_(rule), out_(out) {}
    void ok(const std::string& what, const std::string& found) { add(Verdict::Ok, what, found, ""); }
    void not_checked(const std::string& what, const std::string& found, const std::string& where_from) {
        add(Verdict::NotChecked, what, found, where_from);
    }
    void note(const std::string& what, const std::string& found, const std::string& to_do = "") {
        add(Verdict::Note, what, found, to_do);
    }
    void warn(const std::string& what, const std::string& found, const std::string& to_do) {
        add(Verdict::Warning, what, found, to_do);
    }
    void error(const std::string& what, const std::string& found, const std::string& to_do) {
        add(Verdict::Error, what, found, to_do);
    }

private:
    void add(Verdict verdict, const std::string& what, const std::string& found, const std::string& to_do);
    const Rule& rule_;
    std::vector<Finding>& out_;
};

// Every rule, group by group in the order they are shown.
const std::vector<Rule>& rules();
const Rule* find_rule(std::string_view id);

// ---- the tables, by topic
std::span<const Rule> machine_rules();      // rules_machine.cpp: inventory, processor, memory
std::span<const Rule> disk_rules();         // rules_disks.cpp
std::span<const Rule> stack_rules();        // rules_stacks.cpp: RAID, LVM, SAN, pools
std::span<const Rule> file_system_rules();  // rules_file_systems.cpp
std::span<const Rule> boot_rules();         // rules_boot.cpp
std::span<const Rule> linux_rules();        // rules_linux.cpp
std::span<const Rule> windows_rules();      // rules_windows.cpp
std::span<const Rule> network_rules();      // rules_network.cpp
std::span<const Rule> service_rules();      // rules_services.cpp
std::span<const Rule> device_rules();       // rules_devices.cpp
std::span<const Rule> around_rules();       // rules_around.cpp: agent, space, other machines

}  // namespace slipway::vmscript
