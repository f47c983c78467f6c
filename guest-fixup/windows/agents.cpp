// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/agents.hpp"

#include <algorithm>

#include "guest-fixup/forget.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

constexpr std::uint64_t kDisabled = 4;
constexpr std::uint64_t kDriverTypes = 0x0f, kServiceTypes = 0xf0;  // SERVICE_*_DRIVER, SERVICE_WIN32_* and _USER_*

std::vector<std::string> services_that_fit(const Hive& system, const std::string& services, std::uint64_t types,
                                           const std::vector<std::string>& patterns) {
    std::vector<std::string> out;
    if (patterns.empty()) return out;
    for (const auto& name : system.keys(services)) {
        const auto type = system.number(services + "\\" + name, "Type");
        if (!type || (*type & types) == 0) continue;
        if (std::any_of(patterns.begin(), patterns.end(), [&](const auto& p) { return fits_name(name, p); }))
            out.push_back(name);
    }
    return out;
}

Status disable(Hive& system, const std::string& what, const std::string& key) {
    const auto start = system.number(key, "Start");
    if (!start || *start == kDisabled) return {};
    return system.set(what, key, "Start", reg_dword(kDisabled));
}

// A list without the entries that fit; nullopt when none does.
std::optional<std::vector<std::string>> without(const std::vector<std::string>& list,
                                                const std::vector<std::string>& patterns,
                                                const std::set<std::string>& needed) {
    auto out = list;
    std::erase_if(out, [&](const std::string& name) {
        return !needed.contains(to_lower(name)) &&
               std::any_of(patterns.begin(), patterns.end(), [&](const auto& p) { return fits_name(name, p); });
    });
    if (out.size() == list.size()) return std::nullopt;
    return out;
}

Status drop_filters_of(Hive& system, const std::string& what, const std::string& key,
                       const std::vector<std::string>& patterns, const std::set<std::string>& needed) {
    for (const char* name : {"UpperFilters", "LowerFilters"}) {
        const auto value = system.get(key, name);
        if (!value) continue;
        const auto single = as_string(*value);
        const auto list =
            single ? std::vector<std::string>{*single} : as_strings(*value).value_or(std::vector<std::string>{});
        const auto rest = without(list, patterns, needed);
        if (!rest) continue;
        if (rest->empty()) TRY(system.remove_value(what, key, name));
        else TRY(system.set(what, key, name, reg_multi_sz(*rest)));
    }
    return {};
}

// One list in a string: "C:\WINDOWS\system32\userinit.exe,cpqset.exe". The system's own program stays.
Status drop_from_command_list(Hive& software, const std::string& what, const std::string& key, const char* name,
                              std::string_view own, const std::vector<std::string>& patterns) {
    const auto text = software.string(key, name);
    if (!text) return {};
    std::vector<std::string> rest;
    bool dropped = false;
    for (const auto& part : split(*text, ',')) {
        const bool go =
            !trim(part).empty() && !iequals(program_of(part), own) &&
            std::any_of(patterns.begin(), patterns.end(), [&](const auto& p) { return starts_program("", part, p); });
        if (go) dropped = true;
        else rest.push_back(part);
    }
    if (!dropped) return {};
    return software.set_string(what, key, name, join(rest, ","));
}

constexpr std::string_view kRunKeys[] = {
    "Microsoft\\Windows\\CurrentVersion\\Run",
    "Microsoft\\Windows\\CurrentVersion\\RunOnce",
    "Microsoft\\Windows\\CurrentVersion\\RunServices",
    "Microsoft\\Windows\\CurrentVersion\\RunServicesOnce",
    "Microsoft\\Windows\\CurrentVersion\\Policies\\Explorer\\Run",
};

}  // namespace

bool of_another_hypervisor(std::string_view list) {
    return list == "vmware" || list == "virtualbox" || list == "parallels";
}

const std::set<std::string>& needed_drivers(TargetController target) {
    static const std::set<std::string> kAlways{
        "acpi",     "acpiex",    "afd",       "atapi",   "cdrom",  "classpnp", "clfs",     "cng",        "disk",
        "dmio",     "dmload",    "fastfat",   "fltmgr",  "ftdisk", "fvevol",   "hal",      "intelide",   "isapnp",
        "ksecdd",   "ksecpkg",   "mountmgr",  "msahci",  "msfs",   "msisadrv", "mup",      "ndis",       "npfs",
        "nsiproxy", "ntfs",      "null",      "partmgr", "pci",    "pciide",   "pcw",      "pnpmanager", "rdbss",
        "rdyboost", "spaceport", "storahci",  "storflt", "tcpip",  "tdx",      "vdrvroot", "volmgr",     "volmgrx",
        "volsnap",  "wdf01000",  "werkernel", "wmixwdm", "wof"};
    struct Row {
        TargetController target;
        std::vector<std::string> own;
    };
    static const std::vector<std::set<std::string>> kSets = [] {
        const Row rows[] = {
            {TargetController::Ide, {}},
            {TargetController::Sata, {"iastor", "iastorv", "iastora"}},
            {TargetController::ScsiLsi, {"symc810", "symc8xx", "sym_hi", "sym_u3", "lsi_scsi"}},
            {TargetController::Megasas, {"megasas", "megasas2i", "megasas35i", "megasr", "mraid35x"}},
            {TargetController::VirtioBlk, {"viostor"}},
            {TargetController::VirtioScsi, {"vioscsi"}},
            {TargetController::Nvme, {"stornvme"}},
        };
        std::vector<std::set<std::string>> sets(std::size(rows), kAlways);
        for (const auto& row : rows) sets[static_cast<std::size_t>(row.target)].insert(row.own.begin(), row.own.end());
        return sets;
    }();
    return kSets[static_cast<std::size_t>(target)];
}

// Without RPC, DCOM and Plug and Play nothing else starts; without accounts, sessions and profiles nobody logs on.
const std::set<std::string>& vital_services() {
    static const std::set<std::string> kNames{"brokerinfrastructure",
                                              "coremessagingregistrar",
                                              "dcomlaunch",
                                              "eventlog",
                                              "gpsvc",
                                              "lsm",
                                              "nsi",
                                              "ntds",
                                              "plugplay",
                                              "power",
                                              "profsvc",
                                              "rpceptmapper",
                                              "rpcss",
                                              "samss",
                                              "systemeventsbroker",
                                              "usermanager"};
    return kNames;
}

bool fits_name(std::string_view name, std::string_view pattern) { return fits(to_lower(name), to_lower(pattern)); }

std::string program_of(std::string_view command) {
    auto text = trim(command);
    if (text.starts_with('"')) {
        text = text.substr(1, text.find('"', 1) - 1);
    } else {
        // Without quotes the path may hold spaces: it ends behind the first ending of a program.
        const auto lower = to_lower(text);
        auto end = std::string::npos;
        for (const char* ending : {".exe", ".com", ".cmd", ".bat", ".scr", ".vbs"})
            if (const auto at = lower.find(ending); at != std::string::npos) end = std::min(end, at + 4);
        text = text.substr(0, end == std::string::npos ? text.find(' ') : end);
    }
    const auto slash = text.find_last_of("\\/");
    return std::string(slash == std::string_view::npos ? text : text.substr(slash + 1));
}

bool starts_program(std::string_view name, std::string_view command, std::string_view pattern) {
    auto stem = [](std::string_view file) {
        const auto dot = file.rfind('.');
        return dot == std::string_view::npos || dot == 0 ? file : file.substr(0, dot);
    };
    if (!name.empty() && (fits_name(name, pattern) || fits_name(stem(name), pattern))) return true;
    const auto program = program_of(command);
    return !program.empty() && (fits_name(program, pattern) || fits_name(stem(program), pattern));
}

Status disable_services(Hive& system, const std::string& services, const std::string& what,
                        const std::vector<std::string>& patterns, std::vector<std::string>& kept) {
    for (const auto& name : services_that_fit(system, services, kServiceTypes, patterns)) {
        if (vital_services().contains(to_lower(name))) kept.push_back(name);
        else TRY(disable(system, what + ": its services are disabled", services + "\\" + name));
    }
    return {};
}

Status disable_drivers(Hive& system, const std::string& services, const std::string& what,
                       const std::vector<std::string>& patterns, const std::set<std::string>& needed,
                       std::vector<std::string>& kept) {
    for (const auto& name : services_that_fit(system, services, kDriverTypes, patterns)) {
        if (needed.contains(to_lower(name))) kept.push_back(name);
        else TRY(disable(system, what + ": its drivers are disabled", services + "\\" + name));
    }
    return {};
}

Status drop_filters(Hive& system, const std::string& control_set, const std::string& what,
                    const std::vector<std::string>& patterns, const std::set<std::string>& needed) {
    if (patterns.empty()) return {};
    const auto note = what + ": a driver that is disabled is no longer a filter";
    const auto classes = control_set + "\\Control\\Class";
    for (const auto& guid : system.keys(classes))
        TRY(drop_filters_of(system, note, classes + "\\" + guid, patterns, needed));
    const auto tree = control_set + "\\Enum";
    for (const auto& bus : system.keys(tree))
        for (const auto& device : system.keys(tree + "\\" + bus)) {
            const auto place = fmt::format("{}\\{}\\{}", tree, bus, device);
            for (const auto& instance : system.keys(place))
                TRY(drop_filters_of(system, note, place + "\\" + instance, patterns, needed));
        }
    return {};
}

Status remove_autorun(Hive& hive, const std::string& top, const std::string& what,
                      const std::vector<std::string>& patterns) {
    if (patterns.empty()) return {};
    for (const auto& half : {top, top + "Wow6432Node\\"}) {
        for (const auto& run : kRunKeys) {
            const auto key = half + std::string(run);
            for (const auto& name : hive.values(key)) {
                const auto command = hive.string(key, name).value_or("");
                for (const auto& pattern : patterns)
                    if (starts_program(name, command, pattern)) {
                        TRY(hive.remove_value(fmt::format("{}: program {} not started", what, printable(name)), key,
                                              name));
                        break;
                    }
            }
        }
        const auto nt = half + "Microsoft\\Windows NT\\CurrentVersion\\";
        const auto note = what + ": program not started at logon";
        TRY(drop_from_command_list(hive, note, nt + "Winlogon", "Userinit", "userinit.exe", patterns));
        TRY(drop_from_command_list(hive, note, nt + "Winlogon", "Shell", "explorer.exe", patterns));
        for (const char* name : {"Load", "Run"})
            TRY(drop_from_command_list(hive, note, nt + "Windows", name, "", patterns));
    }
    return {};
}

}  // namespace slipway::fixup::windows
