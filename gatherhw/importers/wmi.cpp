// SPDX-License-Identifier: GPL-3.0-or-later
// Windows as WMI tells of it. Class and property names: Microsoft Learn, "Win32 Provider".
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "gatherhw/errors.hpp"
#include "gatherhw/importers/importers.hpp"
#include "gatherhw/importers/shared.hpp"
#include "gatherhw/importers/wmi_parts.hpp"
#include "gatherhw/linux/classify.hpp"
#include "gatherhw/linux/parts.hpp"
#include "lib/base/strings.hpp"

namespace slipway::gatherhw {

namespace {

std::string start_of(const WmiInstance& i) {
    auto mode = to_lower(i.get("startmode"));
    return mode == "manual" ? "demand" : mode;
}

// "USB\VID_0529&PID_0001\5&2A…"
std::optional<UsbDevice> usb_of_pnp(const WmiInstance& i) {
    auto id = to_lower(i.get("pnpdeviceid"));
    auto hex = [&](std::string_view key) {
        auto at = id.find(key);
        return at == std::string::npos ? std::nullopt : parse_number("0x" + id.substr(at + key.size(), 4));
    };
    auto vendor = hex("vid_"), product = hex("pid_");
    // "&mi_01": a function of a device that is listed itself.
    if (!id.starts_with("usb\\") || !vendor || !product || id.find("&mi_") != std::string::npos) return std::nullopt;
    return UsbDevice{.address = base_name(id.substr(id.rfind('\\') + 1)),
                     .vendor = static_cast<std::uint16_t>(*vendor),
                     .product = static_cast<std::uint16_t>(*product),
                     .manufacturer = i.get("manufacturer"),
                     .name = i.get("name"),
                     .driver = i.get("service")};
}

// Sources and numbers of the system log that mean damage, as Microsoft's articles on events 7, 9, 11, 15, 51, 55 do.
std::optional<LogTopic> topic_of(const WmiInstance& event) {
    auto source = to_lower(event.get("sourcename"));
    auto code = event.number("eventcode");
    constexpr std::uint64_t kDisk[] = {7, 9, 11, 15, 51, 52, 153};
    bool disk_code = std::find(std::begin(kDisk), std::end(kDisk), code) != std::end(kDisk);
    constexpr std::string_view kDiskSources[] = {"disk", "atapi", "scsiport", "storahci", "iastor", "ftdisk", "cdrom"};
    bool disk_source = std::find(std::begin(kDiskSources), std::end(kDiskSources), source) != std::end(kDiskSources);
    if (disk_source && source != "cdrom" && disk_code) return LogTopic::DiskError;
    if (source.find("ntfs") != std::string::npos && code == 55) return LogTopic::FilesystemError;
    if (source.find("whea") != std::string::npos) return LogTopic::MachineCheck;
    return std::nullopt;
}

void log_events(const WmiMachine& machine, Inventory& out) {
    std::map<std::pair<LogTopic, std::string>, LogFinding> found;
    for (const auto& event : machine.of("win32_ntlogevent")) {
        auto topic = topic_of(event);
        if (!topic) continue;
        auto& finding = found[{*topic, event.get("sourcename")}];
        finding.topic = *topic;
        finding.device = event.get("sourcename");
        finding.source = event.get("logfile");
        ++finding.count;
        auto text = fmt::format("event {}: {}", event.number("eventcode"), event.get("message"));
        // The newest come first.
        if (finding.lines.size() < kLogLines) finding.lines.push_back(printable(text.substr(0, kLogLineBytes)));
    }
    for (auto& [key, finding] : found) out.log.push_back(std::move(finding));
}

}  // namespace

void wmi_devices(const WmiMachine& machine, Inventory& out) {
    for (const auto& i : machine.of("win32_videocontroller"))
        out.video.push_back({i.get("name"), i.get("installeddisplaydrivers"), pci_of_pnp(i.get("pnpdeviceid"))});
    for (const auto& i : machine.of("win32_serialport"))
        out.ports.push_back({PortKind::Serial, i.get("deviceid"), i.get("description")});
    for (const auto& i : machine.of("win32_parallelport"))
        out.ports.push_back({PortKind::Parallel, i.get("deviceid"), i.get("description")});
    for (const auto& i : machine.of("win32_sounddevice"))
        out.ports.push_back({PortKind::Sound, i.get("name"), i.get("manufacturer")});
    for (const auto& i : machine.of("win32_cdromdrive"))
        out.optical.push_back({i.get("drive"), i.get("deviceid"), i.get("name")});
    for (const auto& i : machine.of("win32_tapedrive"))
        out.tapes.push_back({base_name(i.get("deviceid").substr(i.get("deviceid").rfind('\\') + 1)),
                             i.get("manufacturer"), i.get("name"), "", ""});
    for (const auto& i : machine.of("win32_pnpentity")) {
        if (auto pci = pci_of_pnp(i.get("pnpdeviceid")))
            out.pci.push_back({*pci, i.get("service"), i.get("manufacturer"), i.get("name")});
        if (auto usb = usb_of_pnp(i)) out.usb.push_back(std::move(*usb));
        // The HAL is a device of its own: "acpiapic_mp", "acpipic_up", …
        auto id = to_lower(i.get("pnpdeviceid")), first = join(i.items("hardwareid"), " ");
        if (id.starts_with("root\\acpi_hal") || id.starts_with("root\\pci_hal"))
            out.os.hal = first.substr(0, first.find(' '));
    }
}

void wmi_software(const WmiMachine& machine, Inventory& out) {
    for (const auto& i : machine.of("win32_service"))
        out.services.push_back({i.get("name"), i.get("displayname"), to_lower(i.get("startmode")), "",
                                i.get("pathname"), to_lower(i.get("state")), i.get("startname")});
    for (const auto& i : machine.of("win32_systemdriver"))
        out.drivers.push_back({.name = i.get("name"),
                               .used_by = {},
                               .start = start_of(i),
                               .description = i.get("displayname"),
                               .path = i.get("pathname"),
                               .state = to_lower(i.get("state"))});
    for (const auto& i : machine.of("win32_startupcommand"))
        out.autorun.push_back({i.get("name"), i.get("command"), i.get("location")});
    for (const auto& i : machine.of("win32_quickfixengineering"))
        // "File 1": an update that replaced a file and has no number.
        if (auto id = i.get("hotfixid"); !id.empty() && !id.starts_with("File") && out.os.hotfixes.size() < kMaxListed)
            out.os.hotfixes.push_back({id, i.get("description")});
    for (const auto& i : machine.of("cim_datafile"))
        if (out.os.system_files.size() < kMaxListed && !i.get("name").empty())
            out.os.system_files.push_back({i.get("name"), i.get("version"), "", "", i.number("filesize")});
    log_events(machine, out);
}

Result<Inventory> import_wmi(const std::vector<Dump>& dumps) {
    std::vector<WmiInstance> all;
    std::vector<const Dump*> copies;
    std::string registry;
    for (const auto& dump : dumps) {
        if (is_copied_file(dump.bytes)) {
            copies.push_back(&dump);
            continue;
        }
        auto text = decode_text(dump.bytes);
        if (is_registry_dump(text)) {
            registry += text + "\n";
            continue;
        }
        auto found = read_wmi(text, base_name(dump.name));
        // Of a class without instances wmic writes an empty file.
        if (found.empty() && !trim(text).empty())
            return make_error(errors::kBadDump, "{} has no line `Name=Value` or `Name : Value` of an instance",
                              printable(dump.name));
        all.insert(all.end(), std::make_move_iterator(found.begin()), std::make_move_iterator(found.end()));
    }
    if (all.empty() && copies.empty() && registry.empty())
        return make_error(errors::kBadDump, "there is no instance in any of the files");
    WmiMachine machine(std::move(all));
    Inventory out;
    wmi_system(machine, out);
    wmi_os(machine, out);
    wmi_storage(machine, out);
    wmi_network(machine, out);
    wmi_devices(machine, out);
    wmi_software(machine, out);
    take_registry(registry, out);
    for (const auto* copy : copies) TRY(take_copied_file(*copy, out));
    struct Row {
        std::string_view kind, what;
    };
    constexpr Row kWanted[] = {{"win32_operatingsystem", "operating system"},
                               {"win32_computersystem", "system"},
                               {"win32_processor", "processors"},
                               {"win32_diskdrive", "disks"},
                               {"win32_diskpartition", "partitions"},
                               {"win32_volume", "volumes"},
                               {"win32_networkadapter", "network adapters"},
                               {"win32_service", "services"},
                               {"win32_systemdriver", "drivers"}};
    for (const auto& row : kWanted)
        if (!machine.has(row.kind) && !(row.kind == "win32_volume" && machine.has("win32_logicaldisk")))
            note(out, std::string(row.what), fmt::format("no file of class {} was given", row.kind));
    tidy(out);
    return out;
}

}  // namespace slipway::gatherhw
