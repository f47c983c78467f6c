// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/storage_plan.hpp"

#include <algorithm>

#include "guest-fixup/windows/errors.hpp"
#include "guest-fixup/windows/storage_tables.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

constexpr std::uint32_t kBootStart = 0;

// A driver that must be there.
struct Needed {
    std::string service;
    const InboxService* inbox = nullptr;  // what its key says where it says nothing
};

struct Plan {
    std::vector<Needed> services;
    std::vector<CriticalDevice> devices;    // rows to be made
    std::vector<std::string> missing;       // for people
    std::vector<std::string> database_ids;  // of DriverDatabase, to be made
};

const InboxService* inbox_of(std::string_view service) {
    for (const auto& row : inbox_services())
        if (iequals(row.name, service)) return &row;
    return nullptr;
}

std::string file_of(const Hive& system, const WindowsSystem& windows, const std::string& service) {
    return driver_file(system, windows.services(), service);
}

bool there(const Hive& system, const WindowsSystem& windows, const std::string& service, const HasFile& has_file) {
    const auto file = file_of(system, windows, service);
    if (file.empty() || !has_file(file)) return false;
    const auto* inbox = inbox_of(service);
    return !inbox || inbox->library.empty() || has_file("system32/drivers/" + std::string(inbox->library));
}

std::string shown_file(std::string path) {
    std::replace(path.begin(), path.end(), '/', '\\');
    return "%SystemRoot%\\" + path;
}

// What is not there of a driver, by its files.
void name_missing(const Hive& system, const WindowsSystem& windows, const std::string& service, const HasFile& has_file,
                  std::vector<std::string>& missing) {
    const auto file = file_of(system, windows, service);
    if (file.empty()) missing.push_back(fmt::format("a program of the service {} in the system's folder", service));
    else if (!has_file(file)) missing.push_back(shown_file(file));
    const auto* inbox = inbox_of(service);
    if (!inbox || inbox->library.empty()) return;
    const auto library = "system32/drivers/" + std::string(inbox->library);
    if (!has_file(library)) missing.push_back(shown_file(library));
}

void need(Plan& plan, const Hive& system, const WindowsSystem& windows, const std::string& service,
          const HasFile& has_file) {
    if (std::any_of(plan.services.begin(), plan.services.end(),
                    [&](const auto& known) { return iequals(known.service, service); }))
        return;
    name_missing(system, windows, service, has_file, plan.missing);
    const auto* inbox = inbox_of(service);
    if (!inbox && !system.has(windows.services() + "\\" + service))
        plan.missing.push_back(fmt::format("the service {}", service));
    plan.services.push_back({service, inbox});
}

// NT 5.x on IDE: KB 314082. One of the two bus drivers is enough, the generic one takes Intel's as well.
void plan_ide_of_nt5(Plan& plan, const Hive& system, const WindowsSystem& windows, const HasFile& has_file) {
    need(plan, system, windows, "atapi", has_file);
    need(plan, system, windows, "disk", has_file);
    const bool intel = there(system, windows, "intelide", has_file);
    const bool generic = there(system, windows, "pciide", has_file);
    if (intel || !generic) need(plan, system, windows, "intelide", has_file);
    if (generic) need(plan, system, windows, "pciide", has_file);
    for (const auto& row : critical_devices_of_ide())
        if ((row.service != "intelide" || intel) && (row.service != "pciide" || generic)) plan.devices.push_back(row);
}

std::string service_for(const Hive& system, const WindowsSystem& windows, TargetController target) {
    const bool by_database = system.has("DriverDatabase");
    for (const auto& id : device_ids(target)) {
        auto service = by_database ? service_by_driver_database(system, id)
                                   : service_by_critical_devices(system, windows.control_set, id);
        if (!service.empty()) return service;
    }
    return {};
}

bool is_virtio(TargetController target) {
    return target == TargetController::VirtioBlk || target == TargetController::VirtioScsi;
}

// A virtio driver whose file somebody put there by hand, or a step before this one: its rows as virt-v2v makes them.
void plan_virtio(Plan& plan, const Hive& system, const WindowsSystem& windows, TargetController target,
                 const HasFile& has_file) {
    const std::string service = target == TargetController::VirtioBlk ? "viostor" : "vioscsi";
    need(plan, system, windows, service, has_file);
    for (const auto& id : device_ids(target)) {
        if (system.has("DriverDatabase")) plan.database_ids.push_back(id);
        else plan.devices.push_back({"pci#" + id, service, kScsiAdapterClass});
    }
}

Plan plan_storage(const Hive& system, const WindowsSystem& windows, TargetController target, const HasFile& has_file) {
    Plan plan;
    const bool ide = target == TargetController::Ide;
    if (windows.major == 4) {
        if (ide) need(plan, system, windows, "atapi", has_file);
        else plan.missing.push_back("a driver of Windows NT 4 for this controller: it has one for IDE");
        return plan;
    }
    if (ide && windows.major == 5) {
        plan_ide_of_nt5(plan, system, windows, has_file);
        return plan;
    }
    auto service = service_for(system, windows, target);
    if (service.empty() && is_virtio(target)) {
        plan_virtio(plan, system, windows, target, has_file);
    } else if (service.empty() && target == TargetController::ScsiLsi && windows.major == 5) {
        need(plan, system, windows, "sym_hi", has_file);
        plan.devices.push_back({"pci#ven_1000&dev_0012", "sym_hi", kScsiAdapterClass});
    } else if (service.empty()) {
        plan.missing.push_back(fmt::format("a driver in its registry for PCI\\{}", device_ids(target).back()));
    } else {
        need(plan, system, windows, service, has_file);
        // The bus has channels, and they have a driver of their own.
        if (ide) need(plan, system, windows, "atapi", has_file);
    }
    if (windows.major == 5) {
        need(plan, system, windows, "disk", has_file);
        plan.devices.push_back({"gendisk", "disk", kDiskClass});
    }
    return plan;
}

Status start_at_boot(Hive& system, const std::string& services, const Needed& needed) {
    const auto key = services + "\\" + needed.service;
    const auto what = fmt::format("storage: {} starts with the boot loader", needed.service);
    if (const auto* inbox = needed.inbox) {
        const auto fill = [&](const char* name, const RegValue& value) -> Status {
            return system.get(key, name) ? Status() : system.set(what, key, name, value);
        };
        const bool is_new = !system.has(key);
        TRY(fill("Type", reg_dword(1)));
        TRY(fill("ErrorControl", reg_dword(1)));
        TRY(fill("Group", reg_sz(inbox->group)));
        if (inbox->tag && is_new) TRY(fill("Tag", reg_dword(inbox->tag)));
        TRY(fill("ImagePath", reg_expand_sz(fmt::format("system32\\DRIVERS\\{}.sys", needed.service))));
        const auto interfaces = key + "\\Parameters\\PnpInterface";
        if (inbox->pnp_interface && !system.get(interfaces, "5")) TRY(system.set(what, interfaces, "5", reg_dword(1)));
    }
    TRY(system.set(what, key, "Start", reg_dword(kBootStart)));
    // Windows 8 on: what is here goes before Start.
    const auto over = key + "\\StartOverride";
    return system.get(over, "0") ? system.set(what + ", whatever was not in use before", over, "0", reg_dword(0))
                                 : Status();
}

Status add_critical_device(Hive& system, const std::string& control_set, const CriticalDevice& row) {
    const auto key = fmt::format("{}\\Control\\CriticalDeviceDatabase\\{}", control_set, row.device);
    const auto what = fmt::format("storage: Plug and Play gives these devices to {} when it starts", row.service);
    // A row that names a driver already is Windows' own word, unless that driver is another one.
    if (const auto known = system.string(key, "Service"); !known || !iequals(*known, row.service)) {
        TRY(system.set(what, key, "Service", reg_sz(row.service)));
        return system.set(what, key, "ClassGUID", reg_sz(row.class_guid));
    }
    return system.get(key, "ClassGUID") ? Status() : system.set(what, key, "ClassGUID", reg_sz(row.class_guid));
}

}  // namespace

std::string driver_file(const Hive& system, const std::string& services, const std::string& service) {
    auto path = system.string(services + "\\" + service, "ImagePath").value_or("");
    if (path.empty()) return fmt::format("system32/drivers/{}.sys", to_lower(service));
    std::replace(path.begin(), path.end(), '\\', '/');
    for (std::string_view prefix : {"/SystemRoot/", "%SystemRoot%/", "%windir%/"})
        if (path.size() > prefix.size() && iequals(std::string_view(path).substr(0, prefix.size()), prefix))
            path = path.substr(prefix.size());
    // "\??\C:\WINDOWS\system32\…": by its letter it may be on any volume.
    if (const auto at = to_lower(path).find("/system32/"); path.starts_with("/?"
                                                                            "?/") &&
                                                           at != std::string::npos)
        path = path.substr(at + 1);
    if (path.starts_with('/') || path.find(':') != std::string::npos || path.find("..") != std::string::npos) return {};
    return path;
}

std::string service_by_critical_devices(const Hive& system, const std::string& control_set, const std::string& id) {
    const auto key = control_set + "\\Control\\CriticalDeviceDatabase";
    if (const auto exact = system.string(key + "\\PCI#" + id, "Service"); exact && !exact->empty()) return *exact;
    // virtio-win's rows say more of the same device: subsystem and revision.
    if (!id.starts_with("VEN_1AF4")) return {};
    for (const auto& name : system.keys(key))
        if (name.size() > id.size() + 5 && iequals(std::string_view(name).substr(0, id.size() + 5), "PCI#" + id + "&"))
            if (const auto service = system.string(key + "\\" + name, "Service")) return *service;
    return {};
}

std::string service_by_driver_database(const Hive& system, const std::string& id) {
    const std::string database = "DriverDatabase\\", devices = database + "DeviceIds\\PCI";
    std::vector<std::string> ids{id};
    if (id.starts_with("VEN_1AF4"))
        for (const auto& name : system.keys(devices))
            if (name.size() > id.size() && iequals(std::string_view(name).substr(0, id.size() + 1), id + "&"))
                ids.push_back(name);
    for (const auto& device : ids)
        for (const auto& inf : system.values(devices + "\\" + device)) {
            const auto label = system.string(database + "DriverInfFiles\\" + inf, "Active").value_or("");
            if (label.empty()) continue;
            const auto package = database + "DriverPackages\\" + label;
            const auto configuration = system.string(package + "\\Descriptors\\PCI\\" + device, "Configuration");
            if (!configuration) continue;
            const auto service = system.string(package + "\\Configurations\\" + *configuration, "Service");
            if (service && !service->empty()) return *service;
        }
    return {};
}

Result<std::vector<std::string>> set_up_storage(Hive& system, const WindowsSystem& windows, TargetController target,
                                                const HasFile& has_file) {
    const auto plan = plan_storage(system, windows, target, has_file);
    if (!plan.missing.empty())
        return make_error(errors::kWindowsDriver, "{} ({}, {}.{}.{}) cannot start from a {} controller; it lacks {}",
                          windows.product, name_of(windows.architecture), windows.major, windows.minor, windows.build,
                          name_of(target), join(plan.missing, ", "));
    std::vector<std::string> services;
    for (const auto& needed : plan.services) {
        TRY(start_at_boot(system, windows.services(), needed));
        services.push_back(needed.service);
    }
    for (const auto& row : plan.devices) TRY(add_critical_device(system, windows.control_set, row));
    if (!plan.database_ids.empty())
        TRY(add_to_driver_database(system, windows.architecture, services.front(), plan.database_ids));
    return services;
}

}  // namespace slipway::fixup::windows
