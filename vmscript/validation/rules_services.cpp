// SPDX-License-Identifier: GPL-3.0-or-later
// Services, drivers and programs that were there for the old machine, and what its log says.
#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "vmscript/validation/rule.hpp"

namespace slipway::vmscript {

using namespace gatherhw;

namespace {

using Kind = DriversFileEntry::Kind;

std::string stem(const std::string& name) {
    return name.ends_with(".service") ? name.substr(0, name.size() - 8) : name;
}

bool starts(const Service& s) { return s.start != "masked" && s.start != "disabled" && s.start != "Disabled"; }

bool listed(const Facts& f, Kind kind, const std::string& name) {
    if (!f.around.drivers_file) return false;
    return std::any_of(f.around.drivers_file->begin(), f.around.drivers_file->end(),
                       [&](const auto& e) { return e.kind == kind && name_matches(e.name, name); });
}

void drivers_file(const Facts& f, Findings& out) {
    if (!f.around.drivers_file)
        return out.not_checked(
            "P2V drivers file", "None was given: only the shipped lists apply.",
            "Give --servicedriverstate FILE for services and drivers of your own; docs/repair.md has its form.");
    std::vector<std::string> found;
    for (const auto& s : f.machine.services)
        if (starts(s) && listed(f, Kind::Service, stem(s.name))) found.push_back("service " + s.name);
    for (const auto& d : f.machine.drivers)
        if (listed(f, Kind::Driver, d.name)) found.push_back("driver " + d.name);
    for (const auto& p : f.machine.autorun)
        if (listed(f, Kind::Program, p.name)) found.push_back("program " + p.name);
    out.ok("P2V drivers file", found.empty() ? "Nothing of it is on the source."
                                             : fmt::format("The repair switches off: {}.", join(found, ", ")));
}

// The row that says what it belonged to. '*' stands for any characters.
struct AgentRow {
    std::string_view pattern, whose;
};
constexpr AgentRow kAgents[] = {{"hp-health", "HP management agents"},
                                {"hp-asrd", "HP management agents"},
                                {"hpasm*", "HP management agents"},
                                {"hp-snmp-agents", "HP management agents"},
                                {"hpsmh*", "HP System Management Homepage"},
                                {"amsd", "HPE agentless management"},
                                {"smad", "HPE agentless management"},
                                {"cqmgserv", "HP Insight agents"},
                                {"cqmghost", "HP Insight agents"},
                                {"cqmgstor", "HP Insight agents"},
                                {"cpqnicmgmt", "HP Insight agents"},
                                {"sysmgmthp", "HP System Management Homepage"},
                                {"cissesrv", "HP Smart Array notification"},
                                {"srvadmin*", "Dell OpenManage"},
                                {"dsm_sa_*", "Dell OpenManage"},
                                {"dsm_om_*", "Dell OpenManage"},
                                {"dataeng", "Dell OpenManage"},
                                {"server administrator", "Dell OpenManage"},
                                {"dcstor32", "Dell OpenManage"},
                                {"dcevt32", "Dell OpenManage"},
                                {"ibmasm", "IBM Director"},
                                {"cimlistener", "IBM Director"},
                                {"eecd", "Fujitsu ServerView"},
                                {"srvmagt*", "Fujitsu ServerView"},
                                {"mrmonitor", "LSI MegaRAID monitor"},
                                {"megaraid*", "LSI MegaRAID monitor"},
                                {"vivaldiframeworkd", "LSI MegaRAID monitor"},
                                {"iastordatamgrsvc", "Intel Rapid Storage"},
                                {"smartd", "disk monitoring"},
                                {"smartmontools", "disk monitoring"},
                                {"mcelog", "hardware error log"},
                                {"rasdaemon", "hardware error log"},
                                {"ipmi", "board management"},
                                {"ipmievd", "board management"},
                                {"openipmi", "board management"},
                                {"bmc-watchdog", "board management"},
                                {"lm-sensors", "sensors"},
                                {"lm_sensors", "sensors"},
                                {"fancontrol", "fans"},
                                {"thermald", "temperature"},
                                {"hddtemp", "disk temperature"},
                                {"tlp", "laptop power"}};

// What becomes of it after the move.
void vendor_agent(const Facts& f, Findings& out, const Service& s, std::string_view whose, bool repair_has_it) {
    const auto what = "service " + s.name;
    if (listed(f, Kind::Service, stem(s.name)))
        return out.ok(what, fmt::format("{}: switched off by the drivers file.", whose));
    const auto found = fmt::format("{}: it looks after metal that the VM has not; ", whose);
    if (!f.windows) return out.ok(what, found + "NAME_PostDeploy.sh or the repair switches it off.");
    if (repair_has_it) return out.ok(what, found + "the repair switches it off.");
    out.note(what, found + (f.around.drivers_file ? "the drivers file does not name it." : "no list of ours names it."),
             "Name it in a P2V drivers file (--servicedriverstate; docs/windows.md), or switch it off at the first "
             "logon.");
}

void vendor_agents(const Facts& f, Findings& out) {
    // An unreadable drivers file was refused when the surroundings were read.
    std::vector<std::string> by_repair;
    if (auto services = hardware_services(f.machine, f.switches.service_driver_state)) by_repair = *std::move(services);
    for (const auto& s : f.machine.services)
        for (const auto& row : kAgents) {
            if (!starts(s) || !name_matches(row.pattern, stem(s.name))) continue;
            vendor_agent(f, out, s, row.whose, std::binary_search(by_repair.begin(), by_repair.end(), s.name));
            break;
        }
}

void watchdog(const Facts& f, Findings& out) {
    for (std::string_view name : {"hpwdt", "iTCO_wdt", "ipmi_watchdog", "wdat_wdt", "sp5100_tco"})
        if (const auto* d = f.driver(name); d && d->references > 0)
            out.warn("module " + d->name, "A watchdog of the old board is in use.",
                     "Switch off what feeds it (watchdog, RuntimeWatchdogSec) on the source; a VM has no such device.");
}

void guest_tools(const Facts& f, Findings& out) {
    static constexpr std::string_view kTools[] = {
        "open-vm-tools",         "vmtoolsd",       "vmware-tools*", "VMTools",  "vboxadd*", "VBoxService", "xe-daemon",
        "xe-linux-distribution", "hv-kvp-daemon*", "vmicheartbeat", "prltoolsd"};
    for (const auto& s : f.machine.services)
        for (auto name : kTools)
            // Windows has Hyper-V's services on every machine.
            if (starts(s) && name_matches(name, stem(s.name)) && !(f.windows && s.name.starts_with("vmic")))
                out.ok("service " + s.name, "Tools of another hypervisor: the repair keeps them from starting.");
}

void ups(const Facts& f, Findings& out) {
    static constexpr std::string_view kNames[] = {"apcupsd", "nut-driver*", "upsd",           "nut-server",
                                                  "ups",     "powerchute*", "apc ups service"};
    for (const auto& s : f.machine.services)
        for (auto name : kNames)
            if (starts(s) && name_matches(name, stem(s.name)))
                return out.note("service " + s.name, "It looks after an uninterruptible power supply at the source.",
                                "Point it at the network, or switch it off: the VM host looks after the power.");
}

void filter_services(const Facts& f, Findings& out) {
    static constexpr std::string_view kBackup[] = {"veeam*agent*",     "veeamservice", "acronis*", "mms",    "ossec*",
                                                   "drserver",         "cvd",          "gxcvd*",   "dsmcad", "beremote",
                                                   "backupexecagent*", "bacula-fd"};
    for (const auto& s : f.machine.services)
        for (auto name : kBackup)
            if (starts(s) && name_matches(name, stem(s.name)))
                out.note("service " + s.name, "A backup agent: it may know the machine by its hardware.",
                         "Make a backup before the move, and look that the next one is made of the VM.");
}

void log_of(const Facts& f, Findings& out, std::initializer_list<LogTopic> topics, const char* todo) {
    for (const auto& l : f.machine.log) {
        if (std::find(topics.begin(), topics.end(), l.topic) == topics.end()) continue;
        auto what = l.device.empty() ? l.source : fmt::format("{} in {}", l.device, l.source);
        auto last = l.lines.empty() ? std::string() : " Last: " + l.lines.back();
        if (l.count == 0) continue;
        out.warn(what, fmt::format("{} lines tell of errors.{}", l.count, last), todo);
    }
}

void log_disk(const Facts& f, Findings& out) {
    log_of(f, out, {LogTopic::DiskError, LogTopic::FilesystemError},
           "Have the disk or file system checked first, and keep a backup of your own: what cannot be read is lost in "
           "the image too.");
}

void log_memory(const Facts& f, Findings& out) {
    log_of(f, out, {LogTopic::Memory, LogTopic::MachineCheck},
           "Capture it soon, and verify the image (slipway image verify): a bad module can spoil data on its way.");
}

void log_other(const Facts& f, Findings& out) {
    for (const auto& l : f.machine.log)
        if (l.topic == LogTopic::Other && l.count > 0)
            out.note(l.source,
                     fmt::format("{} lines tell of errors{}.", l.count,
                                 l.lines.empty() ? "" : ", the last: " + l.lines.back()),
                     "Look whether they are about the hardware that is left behind.");
}

const Rule kRules[] = {
    {"drivers-file", Group::Services, Verdict::NotChecked, "The P2V drivers file",
     "Services that look for the old machine wait, restart it or fill its log.", drivers_file},
    {"vendor-agents", Group::Services, Verdict::Note, "Agents of hardware vendors",
     "They look after metal that is not there, and some restart a machine that does not answer them.", vendor_agents},
    {"watchdog", Group::Services, Verdict::Warning, "Watchdogs", "A watchdog that is not fed restarts the machine.",
     watchdog},
    {"guest-tools", Group::Services, Verdict::Ok, "Tools of other hypervisors",
     "They talk to a hypervisor that is not there.", guest_tools},
    {"ups", Group::Services, Verdict::Note, "Uninterruptible power supplies",
     "A service that loses sight of its UPS may switch the machine off.", ups},
    {"backup-agent", Group::Services, Verdict::Note, "Backup agents",
     "A machine that moved is easily a machine without a backup.", filter_services},
    {"log-disk", Group::Disks, Verdict::Warning, "Disk and file-system errors in the source's log",
     "Sectors that cannot be read are missing in the image.", log_disk},
    {"log-memory", Group::Inventory, Verdict::Warning, "Memory and processor errors in the source's log",
     "What a bad memory module changes on the way is captured as it is.", log_memory},
    {"log-other", Group::Inventory, Verdict::Note, "Other errors in the source's log",
     "Faults that were there before should not be blamed on the move.", log_other},
};

}  // namespace

std::span<const Rule> service_rules() { return kRules; }

}  // namespace slipway::vmscript
