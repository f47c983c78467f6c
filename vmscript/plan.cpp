// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/plan.hpp"

#include <algorithm>
#include <cctype>
#include <set>

#include <fmt/format.h>

#include "guest-fixup/windows/agent_lists.hpp"
#include "lib/base/strings.hpp"
#include "lib/patches/library.hpp"
#include "sequences/model.hpp"
#include "vmscript/errors.hpp"
#include "vmscript/nt.hpp"
#include "vmscript/validation/surroundings.hpp"

namespace slipway::vmscript {

namespace {

using gatherhw::Disk;
using gatherhw::Inventory;
using gatherhw::NetworkAdapter;
using gatherhw::Volume;

bool on_usb(const Inventory& inventory, const Disk& disk) {
    const auto* controller = gatherhw::find_controller(inventory, disk.controller);
    return controller != nullptr && controller->kind == gatherhw::ControllerKind::Usb;
}

std::vector<const Volume*> volumes_on(const Inventory& inventory, const Disk& disk) {
    std::vector<const Volume*> out;
    for (const auto& v : inventory.volumes) {
        auto disks = gatherhw::disks_of(inventory, v);
        if (v.name == disk.name || std::find(disks.begin(), disks.end(), disk.name) != disks.end()) out.push_back(&v);
    }
    return out;
}

bool is_partition(const Inventory& inventory, const std::string& name) {
    for (const auto& d : inventory.disks)
        for (const auto& p : d.partitions)
            if (p.name == name) return true;
    return false;
}

// The volumes of the operator's list. A disk's name means every volume on it.
std::set<const Volume*> excluded_set(const Inventory& inventory, const std::vector<std::string>& names,
                                     std::set<std::string>& whole_disks, std::vector<std::string>& problems) {
    std::set<const Volume*> out;
    for (const auto& name : names) {
        auto plain = name.starts_with("/dev/") ? name.substr(5) : name;
        auto found = gatherhw::volumes_named(inventory, name);
        if (const auto* disk = gatherhw::find_disk(inventory, plain)) {
            whole_disks.insert(disk->name);
            found = volumes_on(inventory, *disk);
        } else if (found.empty()) {
            problems.push_back(fmt::format("'{}' names no volume of the inventory", printable(name)));
        }
        out.insert(found.begin(), found.end());
    }
    return out;
}

bool is_root(const Volume& v) {
    return v.boot_volume == true ||
           std::find(v.mount_points.begin(), v.mount_points.end(), "/") != v.mount_points.end();
}

// Packages and services that watch or drive hardware a VM does not have.
constexpr std::string_view kHardwareServices[] = {"smartd",
                                                  "smartmontools",
                                                  "mcelog",
                                                  "rasdaemon",
                                                  "ipmi",
                                                  "ipmievd",
                                                  "openipmi",
                                                  "lm-sensors",
                                                  "lm_sensors",
                                                  "fancontrol",
                                                  "hddtemp",
                                                  "thermald",
                                                  "hp-health",
                                                  "hp-asrd",
                                                  "hpasmd",
                                                  "dsm_sa_datamgrd",
                                                  "dsm_om_connsvc",
                                                  "srvadmin",
                                                  "megaraid-sas-status",
                                                  "mptd",
                                                  "tlp"};

// The operator's file takes the place of the lists.
Result<std::vector<std::string>> service_patterns(bool windows, const std::string& drivers_file) {
    std::vector<std::string> out;
    auto add = [&](std::string_view xml) -> Status {
        for (auto& entry : TRY(read_drivers_file(xml)))
            if (entry.kind == DriversFileEntry::Kind::Service) out.push_back(std::move(entry.name));
        return {};
    };
    if (!drivers_file.empty()) {
        TRY(add(drivers_file));
    } else if (windows) {
        for (const auto& list : fixup::windows::shipped_agent_lists()) TRY(add(list.xml));
    } else {
        out.assign(std::begin(kHardwareServices), std::end(kHardwareServices));
    }
    return out;
}

// Locally administered, from the source's own address: the same with every generation, so that edits stay comparable.
std::string dynamic_mac(const std::string& old_mac, std::size_t index) {
    auto mac = MacAddress::parse(old_mac).value_or(MacAddress{});
    mac.octets[0] = 0x52;
    mac.octets[1] = 0x54;
    mac.octets[2] = static_cast<std::uint8_t>(0x80 | (mac.octets[2] & 0x0f) | index << 4);
    return mac.text();
}

void plan_nics(const Inventory& inventory, const Switches& switches, Plan& plan) {
    plan.nics = planned_nics(inventory, switches);
    plan.source_mac = switches.admin_mac ? switches.admin_mac->text() : plan.nics.empty() ? "" : plan.nics[0].old_mac;
}

// The agent may number disks otherwise than the source's system did; a serial that only one disk has is safe.
std::string safe_serial(const Inventory& inventory, const Disk& disk) {
    bool usable = !disk.serial.empty() && trim(disk.serial) == disk.serial && printable(disk.serial) == disk.serial &&
                  disk.serial.find_first_of(";=") == std::string::npos;
    auto same = [&](const Disk& d) { return d.serial == disk.serial; };
    return usable && std::count_if(inventory.disks.begin(), inventory.disks.end(), same) == 1 ? disk.serial : "";
}

std::string partition_word(const Inventory& inventory, const std::string& name) {
    for (const auto& d : inventory.disks)
        for (const auto& p : d.partitions)
            if (auto serial = safe_serial(inventory, d); p.name == name && !serial.empty())
                return fmt::format("{}:{}", serial, p.index);
    return name;
}

void plan_disks(const Inventory& inventory, const DiskChoice& choice, const Switches& switches, Plan& plan) {
    plan.controller = choose_controller(switches.controller, choice.kept, inventory);
    plan.left_out = choice.left_out;
    for (const auto& v : choice.excluded_volumes) {
        plan.excluded_volumes.push_back(partition_word(inventory, v));
        plan.notes.push_back(fmt::format("volume {}: left out as asked", v));
    }
    for (const auto& disk : choice.left_out)
        plan.notes.push_back(fmt::format("disk {}: left out, {}", disk.name, disk.why));
    for (const auto* d : choice.kept)
        plan.disks.push_back({d->name, safe_serial(inventory, *d), d->size,
                              fmt::format("{}/{}_disk{}.vhd", plan.disk_path, plan.name, plan.disks.size())});
}

}  // namespace

std::string_view name_of(Controller controller) {
    switch (controller) {
        case Controller::Ide: return "ide";
        case Controller::Sata: return "sata";
        case Controller::Scsi: return "scsi-lsi";
        case Controller::Virtio: return "virtio-blk";
    }
    return "?";
}

std::size_t most_disks(Controller controller) {
    switch (controller) {
        case Controller::Ide: return kMaxIdeDisks;
        case Controller::Sata: return kMaxSataDisks;
        case Controller::Scsi: return kMaxScsiDisks;
        case Controller::Virtio: return kMaxVirtioDisks;
    }
    return 0;
}

bool valid_name(std::string_view name) { return sequences::valid_name(name); }

DiskChoice choose_disks(const Inventory& inventory, const std::vector<std::string>& names) {
    DiskChoice out;
    std::set<std::string> whole_disks;
    auto excluded = excluded_set(inventory, names, whole_disks, out.problems);
    for (const auto& disk : inventory.disks) {
        auto volumes = volumes_on(inventory, disk);
        auto is_out = [&](const Volume* v) { return excluded.contains(v); };
        bool has_root = std::any_of(volumes.begin(), volumes.end(), [](auto* v) { return is_root(*v); });
        if (on_usb(inventory, disk) && !has_root) {
            out.left_out.push_back({disk.name, std::string(kUsbDisk)});
        } else if (whole_disks.contains(disk.name) ||
                   (!volumes.empty() && std::all_of(volumes.begin(), volumes.end(), is_out))) {
            out.left_out.push_back({disk.name, "all its volumes are excluded"});
        } else {
            out.kept.push_back(&disk);
        }
    }
    for (const auto* v : excluded) {
        if (is_root(*v)) out.problems.push_back(fmt::format("'{}' holds the system: it cannot be left out", v->name));
        auto on = gatherhw::disks_of(inventory, *v);
        bool on_kept = std::any_of(out.kept.begin(), out.kept.end(),
                                   [&](auto* d) { return std::find(on.begin(), on.end(), d->name) != on.end(); });
        if (!on_kept) continue;
        if (is_partition(inventory, v->name)) out.excluded_volumes.push_back(v->name);
        else
            out.problems.push_back(
                fmt::format("'{}' lies on LVM, RAID or encryption: only whole partitions can be left out", v->name));
    }
    std::sort(out.excluded_volumes.begin(), out.excluded_volumes.end());
    std::sort(out.problems.begin(), out.problems.end());
    return out;
}

Controller choose_controller(ControllerChoice choice, const std::vector<const Disk*>& disks,
                             const Inventory& inventory) {
    switch (choice) {
        case ControllerChoice::Ide: return Controller::Ide;
        case ControllerChoice::Sata: return Controller::Sata;
        case ControllerChoice::Scsi: return Controller::Scsi;
        case ControllerChoice::Virtio: return Controller::Virtio;
        case ControllerChoice::Auto: break;
    }
    bool fits = disks.size() <= kMaxIdeDisks &&
                std::all_of(disks.begin(), disks.end(), [](auto* d) { return d->size <= kMaxIdeDisk; });
    if (fits) return Controller::Ide;
    const bool uefi = inventory.system.firmware == gatherhw::Firmware::Uefi;
    if (uefi && inventory.os.family != "windows" && disks.size() > kMaxSataDisks) return Controller::Virtio;
    const auto nt = nt_version(inventory.os);
    return uefi || (nt && *nt >= kVista) ? Controller::Sata : Controller::Scsi;
}

std::string hardware_mac(const NetworkAdapter& adapter) {
    return adapter.permanent_mac.empty() ? adapter.mac : adapter.permanent_mac;
}

std::vector<const NetworkAdapter*> choose_nics(const Inventory& inventory, const std::optional<MacAddress>& admin_mac) {
    std::vector<const NetworkAdapter*> out;
    for (const auto& a : inventory.network)
        if (a.kind == gatherhw::AdapterKind::Physical && MacAddress::parse(hardware_mac(a))) out.push_back(&a);
    auto rank = [&](const NetworkAdapter* a) {
        if (admin_mac && MacAddress::parse(hardware_mac(*a)) == admin_mac) return 0;
        if (a->pxe_capable == false) return 3;
        return a->link ? 1 : 2;
    };
    std::stable_sort(out.begin(), out.end(), [&](auto* a, auto* b) { return rank(a) < rank(b); });
    if (out.size() > kMaxNics) out.resize(kMaxNics);
    return out;
}

bool names_adapter(std::string_view name) {
    constexpr std::size_t kMost = 80;
    return !name.empty() && name.size() <= kMost && printable(name) == name && trim(name) == name &&
           std::all_of(name.begin(), name.end(), [](unsigned char c) {
               return c >= 128 || std::isalnum(c) ||
                      std::string_view(" ()#*._-").find(static_cast<char>(c)) != std::string_view::npos;
           });
}

std::vector<PlannedNic> planned_nics(const Inventory& inventory, const Switches& switches) {
    std::vector<PlannedNic> out;
    for (const auto* a : choose_nics(inventory, switches.admin_mac)) {
        auto mac = hardware_mac(*a);
        // Before Windows 10 its registry has no address of a card: the connection tells whose settings are whose.
        const bool by_connection = inventory.os.family == "windows" && names_adapter(a->connection);
        out.push_back(
            {by_connection ? a->connection : a->name, mac, switches.dynamic_macs ? dynamic_mac(mac, out.size()) : mac});
    }
    return out;
}

// The library has to be on the server when the agent repairs: nothing carries it there but the administrator.
void note_hal(Plan& plan) {
    if (!plan.windows || (!plan.fix_hal && plan.patch_directory.empty())) return;
    plan.notes.push_back(
        fmt::format("HAL and kernel: --fixhal {}", patches::name_of(plan.fix_hal.value_or(patches::FixHal::Auto))));
    if (plan.fix_hal == patches::FixHal::None) return;
    plan.notes.push_back(
        fmt::format("patch library: the repair asks the server, which looks into Patches of its state directory; {} "
                    "(docs/windows.md, "
                    "\"The patch library\")",
                    plan.patch_directory.empty()
                        ? "fill that before the deployment"
                        : fmt::format("copy {}/Source into it before the deployment", plan.patch_directory)));
}

Result<std::vector<std::string>> hardware_services(const Inventory& inventory, const std::string& drivers_file) {
    const bool windows = inventory.os.family == "windows";
    const auto patterns = TRY(service_patterns(windows, drivers_file));
    std::vector<std::string> out;
    for (const auto& s : inventory.services) {
        auto stem = s.name.substr(0, s.name.rfind(".service"));
        bool known =
            std::any_of(patterns.begin(), patterns.end(), [&](const auto& p) { return name_matches(p, stem); });
        if (known && s.start != "masked" && !(windows && s.start == "disabled")) out.push_back(s.name);
    }
    std::sort(out.begin(), out.end());
    out.erase(std::unique(out.begin(), out.end()), out.end());
    return out;
}

Result<Plan> make_plan(const Inventory& inventory, const Switches& switches) {
    auto choice = choose_disks(inventory, switches.excluded_drives);
    if (!choice.problems.empty()) return make_error(errors::kNotFit, "{}", join(choice.problems, "; "));
    if (choice.kept.empty()) return make_error(errors::kNotFit, "no disk is left to migrate");
    Plan plan;
    plan.name = plan.image = switches.name;
    plan.vm_host = switches.vm_host;
    plan.network = switches.network;
    plan.config_path = switches.vm_config_path;
    plan.disk_path = switches.virtual_disk_path;
    plan.os_name = inventory.os.name;
    plan.windows = inventory.os.family == "windows";
    plan.memory_mib = switches.memory_mib.value_or(inventory.system.memory_bytes >> 20);
    plan.processors = std::clamp(inventory.system.processors.threads, 1u, kMaxProcessors);
    plan.dynamic_disks = switches.dynamic_disks;
    plan.post_deploy = switches.post_deploy;
    plan.patch_directory = switches.patch_directory;
    plan.driver_directories = switches.driver_directories;
    for (const auto& directory : plan.driver_directories)
        plan.notes.push_back(
            fmt::format("drivers: the repair wants {0} in the agent's ramdisk; copy it to "
                        "STATE/repository/user/PostSystem/files{0} of the server before the deployment",
                        directory));
    plan.service_driver_state = switches.service_driver_state;
    plan.fix_hal = switches.fix_hal;
    plan.suppress_console = switches.suppress_console;
    plan.services_known = !inventory.services.empty();
    plan.hardware_services = TRY(hardware_services(inventory, switches.service_driver_state));
    plan.uefi = inventory.system.firmware == gatherhw::Firmware::Uefi;
    if (const auto on = inventory.system.secure_boot) plan.secure_boot = *on ? "on" : "off";
    note_hal(plan);
    plan_disks(inventory, choice, switches, plan);
    plan_nics(inventory, switches, plan);
    if (plan.source_mac.empty()) return make_error(errors::kNotFit, "no wired network adapter with a MAC address");
    // Members of a bond whose own addresses are not known: which is which could not be told after the move either.
    for (const auto& n : plan.nics)
        if (std::count_if(plan.nics.begin(), plan.nics.end(), [&](const auto& o) { return o.new_mac == n.new_mac; }) >
            1)
            return make_error(errors::kNotFit, "two adapters have the address {}", printable(n.new_mac));
    return plan;
}

}  // namespace slipway::vmscript
