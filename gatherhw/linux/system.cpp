// SPDX-License-Identifier: GPL-3.0-or-later
// Firmware, memory, processors, operating system.
#include <algorithm>
#include <map>
#include <set>

#include <sys/utsname.h>

#include "gatherhw/linux/parts.hpp"
#include "gatherhw/linux/smbios.hpp"
#include "lib/base/strings.hpp"

namespace slipway::gatherhw {

namespace {

constexpr auto kSecureBoot = "/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c";

void probe_processors(Tree& tree, Processors& out) {
    std::set<std::string> packages, cores;
    std::string package = "0";
    std::map<std::string, std::string> numbers;
    for (const auto& line : tree.lines("/proc/cpuinfo")) {
        auto colon = line.find(':');
        if (colon == std::string::npos) continue;
        std::string key(trim(std::string_view(line).substr(0, colon)));
        std::string value(trim(std::string_view(line).substr(colon + 1)));
        if (key == "processor") ++out.threads;
        if (key == "vendor_id") out.vendor = value;
        if (key == "model name") out.model = value;
        if (key == "physical id") packages.insert(package = value);
        if (key == "core id") cores.insert(package + ":" + value);
        if (key == "flags" && out.flags.empty()) out.flags = words(value);
        if (key == "cpu family" || key == "model" || key == "stepping") numbers[key] = value;
        if (key == "cpu MHz" && out.mhz == 0)
            out.mhz = static_cast<std::uint32_t>(
                std::min<std::uint64_t>(parse_u64(value.substr(0, value.find('.'))).value_or(0), 100'000));
    }
    out.sockets = packages.empty() ? (out.threads > 0 ? 1 : 0) : static_cast<std::uint32_t>(packages.size());
    out.cores = cores.empty() ? out.threads : static_cast<std::uint32_t>(cores.size());
    for (const auto& flag : out.flags) out.is_64bit = out.is_64bit || flag == "lm";
    if (numbers.size() == 3) out.signature = numbers["cpu family"] + "-" + numbers["model"] + "-" + numbers["stepping"];
    // cpufreq's is nominal, /proc/cpuinfo's of this moment.
    if (auto khz = tree.number("/sys/devices/system/cpu/cpu0/cpufreq/base_frequency"); khz > 0)
        out.mhz = static_cast<std::uint32_t>(std::min<std::uint64_t>(khz / 1000, 100'000));
    // "0-239": ranges, the last number is the highest.
    auto possible = tree.line("/sys/devices/system/cpu/possible");
    if (auto last = parse_u64(possible.substr(possible.find_last_of("-,") + 1)); last && *last < 1'000'000)
        out.possible = static_cast<std::uint32_t>(*last + 1);
}

std::uint64_t mem_total(Tree& tree) {
    for (const auto& line : tree.lines("/proc/meminfo")) {
        auto parts = words(line);
        if (parts.size() >= 2 && parts[0] == "MemTotal:") return parse_u64(parts[1]).value_or(0) * 1024;
    }
    return 0;
}

std::string hypervisor_of(Tree& tree, const System& system) {
    if (auto type = tree.line("/sys/hypervisor/type"); !type.empty()) return type;
    if (auto name = hypervisor_named(system.manufacturer, system.model); !name.empty()) return name;
    for (const auto& flag : system.processors.flags)
        if (flag == "hypervisor") return "unknown";
    return {};
}

void probe_firmware(Tree& tree, System& out) {
    auto dmi = [&](const char* name) { return tree.line(std::string("/sys/class/dmi/id/") + name); };
    out.manufacturer = dmi("sys_vendor");
    out.model = dmi("product_name");
    out.serial = dmi("product_serial");
    out.uuid = to_lower(dmi("product_uuid"));
    out.bios_vendor = dmi("bios_vendor");
    out.bios_version = dmi("bios_version");
    out.bios_date = dmi("bios_date");
    if (auto table = tree.read("/sys/firmware/dmi/tables/DMI")) {
        auto smbios = parse_smbios(as_bytes(*table));
        out.memory_bytes = smbios.memory_bytes;
        out.memory_limit_bytes = smbios.memory_limit_bytes;
        out.memory_modules = std::move(smbios.modules);
        out.chassis = smbios.chassis;
        out.board = smbios.board;
    }
    for (const auto& name : tree.list("/sys/firmware/acpi/tables"))
        if (name.size() == 4 && to_lower(name) != name) out.acpi_tables.push_back(name);
    std::sort(out.acpi_tables.begin(), out.acpi_tables.end());
    if (tree.exists("/sys/firmware/efi")) {
        out.firmware = Firmware::Uefi;
        // Four bytes of attributes, then the value.
        if (auto variable = tree.read(kSecureBoot); variable && variable->size() == 5)
            out.secure_boot = (*variable)[4] == 1;
    } else if (tree.exists("/sys/class/dmi/id") || tree.exists("/sys/bus/pci/devices")) {
        out.firmware = Firmware::Bios;
    }
}

std::string unquoted(std::string_view value) {
    value = trim(value);
    if (value.size() >= 2 && (value.front() == '"' || value.front() == '\'') && value.back() == value.front())
        value = value.substr(1, value.size() - 2);
    return std::string(value);
}

std::string init_of(Tree& tree) {
    if (tree.exists("/run/systemd/system")) return "systemd";
    auto init = base_name(tree.resolve("/sbin/init").value_or(""));
    if (init == "systemd") return "systemd";
    if (tree.exists("/etc/init/rc.conf") || tree.exists("/sbin/initctl")) return "upstart";
    if (tree.exists("/etc/inittab")) return "sysvinit";
    return tree.exists("/sbin/openrc") ? "openrc" : "";
}

void probe_os(Tree& tree, const LinuxProbeOptions& options, Inventory& inventory) {
    auto& out = inventory.os;
    out.family = "linux";
    auto release = tree.lines("/etc/os-release");
    if (release.empty()) release = tree.lines("/usr/lib/os-release");
    for (const auto& line : release) {
        auto equals = line.find('=');
        if (equals == std::string::npos) continue;
        auto key = line.substr(0, equals);
        auto value = unquoted(std::string_view(line).substr(equals + 1));
        if (key == "ID") out.id = value;
        if (key == "PRETTY_NAME") out.name = value;
        if (key == "VERSION_ID") out.version = value;
        if (key == "VARIANT_ID") out.edition = value;
    }
    for (auto file : {"/etc/redhat-release", "/etc/SuSE-release", "/etc/debian_version"}) {
        auto text = tree.line(file);
        if (text.empty()) continue;
        out.service_level = text.substr(0, text.find('\n'));
        if (out.name.empty()) out.name = file == std::string_view("/etc/debian_version") ? "Debian " + text : text;
        break;
    }
    out.kernel = tree.line("/proc/sys/kernel/osrelease");
    out.architecture = tree.line("/proc/sys/kernel/arch");
    struct utsname name {};
    if (options.live && ::uname(&name) == 0) {
        if (out.kernel.empty()) out.kernel = name.release;
        if (out.architecture.empty()) out.architecture = name.machine;
        if (inventory.system.host_name.empty()) inventory.system.host_name = name.nodename;
    }
    if (out.architecture.empty() && inventory.system.processors.threads > 0)
        out.architecture = inventory.system.processors.is_64bit ? "x86_64" : "i686";
    out.init = init_of(tree);
}

void probe_clock(Tree& tree, System& out) {
    out.time_zone = tree.line("/etc/timezone");
    auto zone = tree.link_target("/etc/localtime");
    if (auto at = zone.find("zoneinfo/"); out.time_zone.empty() && at != std::string::npos)
        out.time_zone = zone.substr(at + 9);
    // hwclock(8): the third line says what the battery clock is set to.
    auto adjust = tree.lines("/etc/adjtime");
    if (adjust.size() >= 3 && (trim(adjust[2]) == "UTC" || trim(adjust[2]) == "LOCAL"))
        out.clock_is_utc = trim(adjust[2]) == "UTC";
}

std::string language_of(Tree& tree) {
    for (auto file : {"/etc/locale.conf", "/etc/default/locale", "/etc/sysconfig/i18n"})
        for (const auto& line : tree.lines(file))
            if (line.starts_with("LANG=")) return unquoted(std::string_view(line).substr(5));
    return {};
}

}  // namespace

void probe_system(Tree& tree, const LinuxProbeOptions& options, Inventory& out) {
    probe_processors(tree, out.system.processors);
    probe_firmware(tree, out.system);
    out.system.kernel_memory_bytes = mem_total(tree);
    if (out.system.memory_bytes == 0) out.system.memory_bytes = out.system.kernel_memory_bytes;
    out.system.hypervisor = hypervisor_of(tree, out.system);
    out.system.host_name = tree.line("/proc/sys/kernel/hostname");
    if (out.system.host_name.empty()) out.system.host_name = tree.line("/etc/hostname");
    probe_os(tree, options, out);
    out.os.language = language_of(tree);
    probe_clock(tree, out.system);
    auto& name = out.system.host_name;
    name = name.substr(0, name.find('.'));
}

}  // namespace slipway::gatherhw
