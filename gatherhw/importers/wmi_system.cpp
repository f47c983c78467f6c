// SPDX-License-Identifier: GPL-3.0-or-later
// Machine and operating system.
#include <algorithm>
#include <set>

#include <fmt/format.h>

#include "gatherhw/importers/shared.hpp"
#include "gatherhw/importers/wmi_parts.hpp"
#include "gatherhw/linux/parts.hpp"
#include "lib/base/strings.hpp"

namespace slipway::gatherhw {

namespace {

std::uint32_t small(std::uint64_t n) { return static_cast<std::uint32_t>(std::min<std::uint64_t>(n, 1'000'000)); }

void processors(const WmiMachine& machine, Inventory& out) {
    auto& p = out.system.processors;
    std::set<std::string> sockets;
    for (const auto& i : machine.of("win32_processor")) {
        sockets.insert(i.get("socketdesignation").empty() ? i.get("deviceid") : i.get("socketdesignation"));
        // Before Vista one instance is one logical processor.
        auto cores = std::max<std::uint32_t>(small(i.number("numberofcores")), 1);
        p.cores += cores;
        p.threads += std::max(small(i.number("numberoflogicalprocessors")), cores);
        p.vendor = i.get("manufacturer");
        p.model = join(words(i.get("name")), " ");
        p.mhz = small(i.number("maxclockspeed"));
        p.is_64bit = i.get("datawidth") == "64";  // addresswidth is the system's
        // "x86 Family 6 Model 23 Stepping 6"
        auto w = words(i.get("caption"));
        if (w.size() >= 7 && w[1] == "Family" && w[3] == "Model" && w[5] == "Stepping")
            p.signature = fmt::format("{}-{}-{}", w[2], w[4], w[6]);
    }
    p.sockets = static_cast<std::uint32_t>(sockets.size());
}

void memory(const WmiMachine& machine, Inventory& out) {
    auto& s = out.system;
    for (const auto& i : machine.of("win32_physicalmemory")) {
        auto size = std::min(i.number("capacity"), std::uint64_t{1} << 48);
        if (size == 0 || s.memory_modules.size() == 4096) continue;
        s.memory_bytes += size;
        s.memory_modules.push_back(
            {i.get("devicelocator"), size, "", small(i.number("speed")), i.get("manufacturer"), i.get("partnumber")});
    }
    for (const auto& i : machine.of("win32_physicalmemoryarray"))
        s.memory_limit_bytes += std::min(i.number("maxcapacity"), std::uint64_t{1} << 38) << 10;
}

LicenceChannel channel_in(std::string_view text) {
    auto lower = to_lower(text);
    auto has = [&](std::string_view part) { return lower.find(part) != std::string::npos; };
    if (has("oem")) return LicenceChannel::Oem;
    if (has("volume")) return LicenceChannel::Volume;
    if (has("retail")) return LicenceChannel::Retail;
    return has("eval") ? LicenceChannel::Evaluation : LicenceChannel::Unknown;
}

void licence(const WmiMachine& machine, Inventory& out) {
    auto& os = out.os;
    // "55041-OEM-0011903-00102": the second group of a product ID of Windows 2000 to 7.
    for (const auto& i : machine.of("win32_operatingsystem"))
        if (auto groups = split(i.get("serialnumber"), '-'); groups.size() > 2 && iequals(groups[1], "OEM")) {
            os.licence = LicenceChannel::Oem;
            os.licence_evidence = "the product ID is one of an OEM";
        }
    for (const auto& i : machine.of("softwarelicensingproduct")) {
        // Only the product that has a key is the one installed.
        if (i.get("partialproductkey").empty() || !i.get("name").starts_with("Windows")) continue;
        auto text = i.get("productkeychannel").empty() ? i.get("description") : i.get("productkeychannel");
        if (auto channel = channel_in(text); channel != LicenceChannel::Unknown) {
            os.licence = channel;
            os.licence_evidence = "SoftwareLicensingProduct: " + text;
        }
    }
    // A key in the firmware, of which its description alone is looked at: it is in the table MSDM.
    for (const auto& i : machine.of("softwarelicensingservice"))
        if (!i.get("oa3xoriginalproductkeydescription").empty()) out.system.acpi_tables = {"MSDM"};
}

std::string architecture(const WmiMachine& machine, const WmiInstance& os) {
    auto text = os.get("osarchitecture");
    if (text.starts_with("64")) return "x86_64";
    if (text.starts_with("32")) return "i386";
    for (const auto& i : machine.of("win32_computersystem")) {
        if (i.get("systemtype").starts_with("x64")) return "x86_64";
        if (i.get("systemtype").starts_with("X86")) return "i386";
    }
    for (const auto& i : machine.of("win32_processor"))
        if (auto width = i.number("addresswidth"); width != 0) return width == 64 ? "x86_64" : "i386";
    return {};
}

std::string role_of(const WmiInstance& os) {
    switch (os.number("producttype")) {
        case 1: return "workstation";
        case 2: return "domain-controller";
        case 3: return "server";
        default: return {};
    }
}

void read_os(const WmiMachine& machine, const WmiInstance& i, Inventory& out) {
    auto& os = out.os;
    os.name = i.get("caption");
    auto numbers = split(i.get("version"), '.');
    os.version = numbers.size() >= 2 ? numbers[0] + "." + numbers[1] : i.get("version");
    os.build = i.get("buildnumber");
    const auto major = parse_u64(numbers[0]);
    // That an old one has none is a fact too; later ones go without service packs.
    if (auto pack = parse_u64(i.get("servicepackmajorversion")); pack && (*pack > 0 || (major && *major < 6)))
        os.service_level = fmt::format("SP{}", *pack);
    os.architecture = architecture(machine, i);
    os.edition = i.get("operatingsystemsku");
    os.role = role_of(i);
    os.system_root = i.get("windowsdirectory");
    if (auto languages = i.items("muilanguages"); !languages.empty()) os.language = languages.front();
    else os.language = to_lower(i.get("locale"));
    if (auto type = i.get("buildtype"); !type.empty()) os.multiprocessor = type.starts_with("Multiprocessor");
    os.pae = i.flag("paeenabled");
    if (major) out.boot.loader = *major >= 6 ? "bootmgr" : "ntldr";
    auto& s = out.system;
    s.host_name = i.get("csname");
    s.kernel_memory_bytes = std::min(i.number("totalvisiblememorysize"), std::uint64_t{1} << 38) << 10;
    if (s.memory_bytes == 0) s.memory_bytes = s.kernel_memory_bytes;
    if (auto zone = i.get("currenttimezone"); !zone.empty()) s.time_zone = zone.starts_with('-') ? zone : "+" + zone;
}

}  // namespace

void wmi_system(const WmiMachine& machine, Inventory& out) {
    auto& s = out.system;
    for (const auto& i : machine.of("win32_bios")) {
        s.bios_vendor = i.get("manufacturer");
        s.bios_version = i.get("smbiosbiosversion").empty() ? i.get("version") : i.get("smbiosbiosversion");
        // "20090819000000.000000+000"; PowerShell writes it as its own country does, which nobody can read back.
        if (auto date = i.get("releasedate").substr(0, 8); date.size() == 8 && parse_u64(date)) s.bios_date = date;
        s.serial = i.get("serialnumber");
    }
    for (const auto& i : machine.of("win32_computersystemproduct")) s.uuid = uuid_text(i.get("uuid"));
    for (const auto& i : machine.of("win32_baseboard"))
        if (s.board.empty()) s.board = trim(i.get("manufacturer") + " " + i.get("product"));
    processors(machine, out);
    memory(machine, out);
    for (const auto& i : machine.of("win32_computersystem")) {
        s.manufacturer = i.get("manufacturer");
        s.model = i.get("model");
        s.host_name = i.get("name");
        if (s.memory_bytes == 0) s.memory_bytes = i.number("totalphysicalmemory");
    }
    s.hypervisor = hypervisor_named(s.manufacturer, s.model);
    for (const auto& i : machine.of("win32_computersystem"))
        if (s.hypervisor.empty() && i.is_true("hypervisorpresent")) s.hypervisor = "unknown";
}

void wmi_os(const WmiMachine& machine, Inventory& out) {
    out.os.family = "windows";
    out.os.id = "windows";
    for (const auto& i : machine.of("win32_operatingsystem")) read_os(machine, i, out);
    if (out.os.architecture.empty()) out.os.architecture = architecture(machine, {});
    licence(machine, out);
}

}  // namespace slipway::gatherhw
