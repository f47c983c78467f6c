// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/switches.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "vmscript/errors.hpp"
#include "vmscript/plan.hpp"
#include "vmscript/validation/finding.hpp"

namespace slipway::vmscript {

namespace {

Status bad(std::string_view name, std::string_view value, std::string_view wanted) {
    return make_error(errors::kBadValue, "--{} {}: {}", name, printable(value), wanted);
}

Status choose(Switches& s, Command command) {
    if (s.command != Command::None && s.command != command)
        return make_error(errors::kUsage, "give either --hwvalidate or --hwgeneratep2v (or --list-rules), not both");
    s.command = command;
    return {};
}

Status set_name(Switches& s, std::string_view v) {
    constexpr std::size_t kMost = 48;  // names of sequences are made of it
    if (!valid_name(v) || v.size() > kMost)
        return bad("name", v, "letters, digits, '.', '_' and '-', at most 48, beginning with a letter or digit");
    s.name = v;
    return {};
}

Status set_host(Switches& s, std::string_view v) {
    if (!valid_name(v)) return bad("hwdestvs", v, "the device name of the VM host");
    s.vm_host = v;
    return {};
}

Status set_network(Switches& s, std::string_view v) {
    if (!valid_name(v)) return bad("vshostnet", v, "the name of a virtual network, such as VM0");
    s.network = v;
    return {};
}

Status host_path(std::string_view name, std::string_view v, std::string& out) {
    if (!v.starts_with('/') || std::any_of(v.begin(), v.end(), [](unsigned char c) { return c < 0x20 || c == 0x7f; }))
        return bad(name, v, "an absolute directory on the VM host");
    out = v;
    while (out.size() > 1 && out.back() == '/') out.pop_back();
    return {};
}

Status set_mac(Switches& s, std::string_view v) {
    s.admin_mac = MacAddress::parse(v);
    if (!s.admin_mac || s.admin_mac->is_zero() || s.admin_mac->is_multicast())
        return bad("adminmac", v, "the MAC address of the adapter that boots from the network, as 52:54:00:12:34:56");
    return {};
}

Status set_memory(Switches& s, std::string_view v) {
    bool plain = !v.empty() && v.back() >= '0' && v.back() <= '9';
    auto number = parse_u64(v);
    auto bytes = parse_size(v);
    if (!number && !bytes) return bad("vmmemory", v, "MiB as a number, or a size such as 512M or 2G");
    s.memory_mib = plain ? number.value_or(0) : *bytes >> 20;
    if (*s.memory_mib < kAgentMemoryFloorMib)
        return bad("vmmemory", v, fmt::format("the agent needs at least {} MiB", kAgentMemoryFloorMib));
    if (*s.memory_mib > kMaxMemoryMib) return bad("vmmemory", v, fmt::format("at most {} MiB", kMaxMemoryMib));
    return {};
}

Status set_post_deploy(Switches& s, std::string_view v) {
    if (v != "0" && v != "1" && v != "2")
        return bad("postdeployaction", v, "0 stay in the Deployment Agent, 1 shut down, 2 restart");
    s.post_deploy = static_cast<PostDeploy>(v[0] - '0');
    return {};
}

Status set_excluded(Switches& s, std::string_view v) {
    for (const auto& part : split(v, ';'))
        if (auto name = trim(part); !name.empty()) s.excluded_drives.emplace_back(name);
    return s.excluded_drives.empty() ? bad("excludedrives", v, "volumes separated by ';', such as sda2;/var")
                                     : Status();
}

Status set_controller(Switches& s, std::string_view v) {
    for (auto choice : {ControllerChoice::Auto, ControllerChoice::Ide, ControllerChoice::Sata, ControllerChoice::Scsi,
                        ControllerChoice::Virtio})
        if (iequals(v, name_of(choice))) {
            s.controller = choice;
            return {};
        }
    return bad("targetcontroller", v, "auto, ide, sata, scsi or virtio");
}

Status set_driver_directories(Switches& s, std::string_view v) {
    for (const auto& part : split(v, ';')) {
        if (trim(part).empty()) continue;
        std::string directory;
        if (!host_path("hwdriverdir", trim(part), directory))
            return bad("hwdriverdir", v, "absolute directories, separated by ';'");
        s.driver_directories.push_back(std::move(directory));
    }
    return s.driver_directories.empty() ? bad("hwdriverdir", v, "absolute directories, separated by ';'") : Status();
}

Status set_patch_directory(Switches& s, std::string_view v) {
    if (!host_path("hwpatchdir", v, s.patch_directory))
        return bad("hwpatchdir", v, "an absolute directory: the repair has the same path where it runs");
    return {};
}

Status set_fix_hal(Switches& s, std::string_view v) {
    s.fix_hal = v.empty() ? patches::FixHal::Auto : patches::parse_fix_hal(v);
    return s.fix_hal ? Status() : bad("fixhal", v, "auto, none, acpi or nacpi");
}

template <std::string Switches::*Field>
Status text(Switches& s, std::string_view v) {
    s.*Field = v;
    return {};
}
template <bool Switches::*Field>
Status flag(Switches& s, std::string_view) {
    s.*Field = true;
    return {};
}
template <Command Which>
Status command(Switches& s, std::string_view) {
    return choose(s, Which);
}

template <std::optional<std::uint64_t> Switches::*Field>
Status size(Switches& s, std::string_view v) {
    s.*Field = parse_size(v);
    if (!(s.*Field)) return make_error(errors::kBadValue, "'{}' is no size, such as 500G", printable(v));
    return {};
}

Status set_target_memory(Switches& s, std::string_view v) {
    const bool plain = !v.empty() && v.back() >= '0' && v.back() <= '9';
    const auto bytes = parse_size(v);
    if (!bytes) return bad("targetmemory", v, "MiB as a number, or a size such as 16G");
    s.target_memory_mib = plain ? *bytes : *bytes >> 20;
    return {};
}

Status set_target_processors(Switches& s, std::string_view v) {
    constexpr std::uint64_t kMost = 65536;
    const auto number = parse_u64(v);
    if (!number || *number == 0 || *number > kMost) return bad("targetprocessors", v, "a number from 1");
    s.target_processors = static_cast<std::uint32_t>(*number);
    return {};
}

Status set_groups(Switches& s, std::string_view v) {
    for (const auto& part : split(v, v.find(';') == std::string_view::npos ? ',' : ';')) {
        const auto name = to_lower(trim(part));
        if (name.empty()) continue;
        if (find_group(name) == nullptr) {
            std::vector<std::string> names;
            for (auto group : all_groups()) names.emplace_back(name_of(group));
            return bad("group", v, "of " + join(names, ", "));
        }
        s.groups.push_back(name);
    }
    return s.groups.empty() ? bad("group", v, "groups separated by ';'") : Status();
}

Status help(Switches& s, std::string_view) {
    s.command = Command::Help;
    return {};
}

const SwitchRow kRows[] = {
    {"hwvalidate", "", "say what would stop or trouble the migration", false, command<Command::Validate>},
    {"hwgeneratep2v", "", "write the migration's scripts and task sequences", false, command<Command::Generate>},
    {"hwinfofile", "FILE", "the inventory that gatherhw wrote", true, text<&Switches::hw_info_file>},
    {"name", "NAME", "of the virtual machine, its device record and its image", true, set_name},
    {"vmconfigpath", "DIRECTORY", "on the VM host, for the VM's configuration", true,
     [](Switches& s, std::string_view v) { return host_path("vmconfigpath", v, s.vm_config_path); }},
    {"virtualdiskpath", "DIRECTORY", "on the VM host, for the virtual disks", true,
     [](Switches& s, std::string_view v) { return host_path("virtualdiskpath", v, s.virtual_disk_path); }},
    {"hwdestvs", "HOST", "device name of the VM host", true, set_host},
    {"hwtaskseqpath", "DIRECTORY", "where p2v/NAME/ is made (default: here)", false,
     text<&Switches::task_sequence_path>},
    {"vshostnet", "NETWORK", "virtual network of the VM (default VM0)", false, set_network},
    {"virtualdiskdynamic", "", "dynamically expanding disks (default: fixed-size)", false,
     flag<&Switches::dynamic_disks>},
    {"adminmac", "MAC", "adapter of the source that boots from the network (default: the first)", false, set_mac},
    {"virtualmacdynamic", "", "new MAC addresses for the VM (default: the source's)", false,
     flag<&Switches::dynamic_macs>},
    {"vmmemory", "MIB", "memory of the VM (default: the source's)", false, set_memory},
    {"postdeployaction", "0|1|2",
     "0 stay in the Deployment Agent (default; first-boot or reboot then leaves it), 1 shut down, 2 restart", false,
     set_post_deploy},
    {"excludedrives", "LIST", "volumes to leave out: 'sda2;/var' or 'G:;H:'", false, set_excluded},
    {"forcegenerate", "", "overwrite edited files; write although patch files or drop-in drivers are still missing",
     false, flag<&Switches::force>},
    {"targetcontroller", "KIND",
     "auto (IDE up to 127 GB; above SCSI, or SATA for UEFI and for Windows since Vista), ide, sata, scsi or virtio",
     false, set_controller},
    {"hwpatchdir", "DIRECTORY",
     "patch library of vmpatch by its absolute path, where the repair runs (the agent's ramdisk) and here; the "
     "server's own is asked after it",
     false, set_patch_directory},
    {"hwdriverdir", "DIRECTORY",
     "drop-in drivers for a Windows (virtio-win's folder, or any with INF files), here and by the same path in the "
     "agent's ramdisk; several separated by ';'",
     false, set_driver_directories},
    {"fixhal", "KIND",
     "HAL and kernel of an old Windows: auto (also alone) exchanges what cannot start; none, acpi or nacpi", false,
     set_fix_hal, true},
    {"servicedriverstate", "FILE",
     "P2V drivers file: services, drivers, programs that the repair switches off, instead of the shipped lists", false,
     text<&Switches::service_driver_state>},
    {"suppressvsconsole", "", "do not fetch and open the picture of the VM's console at its first boot", false,
     flag<&Switches::suppress_console>},
    // ---- validation
    {"devicelist", "FILE", "other machines, from slipway device list --json: conflicts of addresses and names", false,
     text<&Switches::device_list>},
    {"agentdrivers", "FILE", "what the agent has no driver for, from slipway-ramdisk drivers --json", false,
     text<&Switches::agent_drivers>},
    {"storefree", "SIZE", "room in the image store, such as 500G", false, size<&Switches::store_free>},
    {"targetfree", "SIZE", "room for virtual disks on the VM host", false, size<&Switches::target_free>},
    {"targetmemory", "MIB", "memory that the VM host has free, or a size such as 16G", false, set_target_memory},
    {"targetprocessors", "N", "processors of the VM host", false, set_target_processors},
    {"storedisk", "HOST:DISK", "the disk that the image store is on", false, text<&Switches::store_disk>},
    {"targetdisk", "HOST:DISK", "the disk that the virtual disks are on", false, text<&Switches::target_disk>},
    {"html", "FILE", "write the report of --hwvalidate as a page to print, beside what is shown", false,
     text<&Switches::html_file>},
    {"group", "LIST", "show these groups alone: 'disks;network' (the verdict stays that of all)", false, set_groups},
    {"only-problems", "", "show notes, warnings and errors alone", false, flag<&Switches::only_problems>},
    {"list-rules", "", "every rule: what it looks at and why (with --json for programs)", false,
     command<Command::ListRules>},
    {"json", "", "with --hwvalidate: the verdicts as JSON", false, flag<&Switches::json>},
    {"version", "", "the version", false, command<Command::Version>},
    {"help", "", "this text; /? and -h too", false, help},
    {"?", "", "", false, help},
};

const SwitchRow* find_row(std::string_view name) {
    for (const auto& row : kRows)
        if (iequals(row.name, name)) return &row;
    return nullptr;
}

struct Token {
    const SwitchRow* row = nullptr;
    std::optional<std::string> value;
};

// Nothing when the argument is no switch but a value or a path.
Result<std::optional<Token>> read_token(const std::string& argument) {
    if (argument == "-h") return std::optional(Token{find_row("help"), {}});
    if (argument.starts_with("--")) {
        auto equals = argument.find('=');
        auto* row = find_row(argument.substr(2, equals == std::string::npos ? equals : equals - 2));
        if (row == nullptr) return make_error(errors::kUsage, "unknown switch {}", printable(argument));
        if (equals == std::string::npos) return std::optional(Token{row, {}});
        return std::optional(Token{row, argument.substr(equals + 1)});
    }
    if (!argument.starts_with('/')) return std::optional<Token>();
    auto colon = argument.find(':');
    auto* row = find_row(argument.substr(1, colon == std::string::npos ? colon : colon - 1));
    if (row == nullptr) return std::optional<Token>();  // a path
    if (colon == std::string::npos) return std::optional(Token{row, {}});
    return std::optional(Token{row, argument.substr(colon + 1)});
}

std::string unquoted(std::string value) {  // /Name:"value", where no shell took the quotes
    if (value.size() >= 2 && value.front() == '"' && value.back() == '"') return value.substr(1, value.size() - 2);
    return value;
}

Status check_complete(const Switches& s) {
    if (s.command == Command::None) return make_error(errors::kUsage, "give --hwvalidate or --hwgeneratep2v");
    if (s.command == Command::Validate && s.hw_info_file.empty())
        return make_error(errors::kUsage, "missing: --hwinfofile");
    if (s.command != Command::Generate) return {};
    std::vector<std::string> missing;
    auto need = [&](const std::string& value, const char* name) {
        if (value.empty()) missing.push_back(std::string("--") + name);
    };
    need(s.hw_info_file, "hwinfofile");
    need(s.name, "name");
    need(s.vm_config_path, "vmconfigpath");
    need(s.virtual_disk_path, "virtualdiskpath");
    need(s.vm_host, "hwdestvs");
    if (!missing.empty()) return make_error(errors::kUsage, "missing: {}", join(missing, ", "));
    return {};
}

}  // namespace

std::string_view name_of(ControllerChoice choice) {
    switch (choice) {
        case ControllerChoice::Auto: return "auto";
        case ControllerChoice::Ide: return "ide";
        case ControllerChoice::Sata: return "sata";
        case ControllerChoice::Scsi: return "scsi";
        case ControllerChoice::Virtio: return "virtio";
    }
    return "?";
}

std::span<const SwitchRow> switch_rows() { return kRows; }

Result<Switches> parse_switches(const std::vector<std::string>& arguments) {
    Switches s;
    std::vector<const SwitchRow*> seen;
    for (std::size_t i = 0; i < arguments.size(); ++i) {
        auto token = TRY(read_token(arguments[i]));
        if (!token) return make_error(errors::kUsage, "'{}' belongs to no switch", printable(arguments[i]));
        const auto& row = *token->row;
        if (row.apply == &help) {
            s.command = Command::Help;
            return s;
        }
        if (std::find(seen.begin(), seen.end(), &row) != seen.end())
            return make_error(errors::kUsage, "--{} is given twice", row.name);
        seen.push_back(&row);
        if (row.value.empty()) {
            if (token->value) return make_error(errors::kUsage, "--{} takes no value", row.name);
            TRY(row.apply(s, ""));
            continue;
        }
        // --name VALUE and /Name VALUE take the next argument, unless that is a switch itself.
        if (!token->value && i + 1 < arguments.size()) {
            auto next = read_token(arguments[i + 1]);
            if (next && !*next) token->value = arguments[++i];
        }
        if (!token->value && row.value_optional) token->value = "";
        if (!token->value || (token->value->empty() && !row.value_optional))
            return make_error(errors::kUsage, "--{} needs a value: {}", row.name, row.value);
        TRY(row.apply(s, unquoted(*token->value)));
    }
    TRY(check_complete(s));
    return s;
}

std::string help_text() {
    std::string out =
        "vmscript: says what would stop the migration of a machine, and writes its scripts.\n\n"
        "  vmscript --hwvalidate --hwinfofile FILE [switches]\n"
        "  vmscript --hwgeneratep2v --hwinfofile FILE --name NAME --vmconfigpath DIRECTORY\n"
        "           --virtualdiskpath DIRECTORY --hwdestvs HOST [switches]\n"
        "  vmscript --list-rules [--json]\n\n"
        "Switches (also as /Name or /Name:value, any case):\n";
    for (const auto& row : kRows) {
        if (row.name == "?") continue;
        auto left = fmt::format("--{}{}{}", row.name, row.value.empty() ? "" : " ", row.value);
        out += fmt::format("  {:<30} {}{}\n", left, row.help, row.required ? " (required)" : "");
    }
    out +=
        "\nExamples:\n"
        "  vmscript --hwvalidate --hwinfofile poseidon.xml\n"
        "  vmscript /HWValidate /HWInfoFile:poseidon.xml\n"
        "  slipway device list --json >devices.json\n"
        "  vmscript --hwvalidate --hwinfofile poseidon.xml --name poseidon --hwdestvs hercules --devicelist "
        "devices.json \\\n"
        "           --storefree 500G --targetfree 200G --only-problems --html poseidon.html\n"
        "  vmscript --hwgeneratep2v --hwinfofile poseidon.xml --name poseidon --vmconfigpath /srv/vm \\\n"
        "           --virtualdiskpath /srv/vm --hwdestvs hercules --excludedrives 'sdb1;/scratch'\n"
        "  vmscript --hwvalidate --hwinfofile nestor.xml --targetcontroller virtio \\\n"
        "           --hwdriverdir '/srv/virtio-win/viostor/2k19/amd64;/srv/virtio-win/NetKVM/2k19/amd64'\n"
        "\nExit codes: 0 fit or done, 1 an error stops it, 2 usage, 3 fit with warnings (--hwvalidate). What is not "
        "checked for\n"
        "want of a fact changes no exit code: the report says where the fact comes from.\n";
    return out;
}

}  // namespace slipway::vmscript
