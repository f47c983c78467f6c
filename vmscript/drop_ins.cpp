// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/drop_ins.hpp"

#include <algorithm>

#include "guest-fixup/driver_directories.hpp"
#include "guest-fixup/windows/drop_in.hpp"
#include "lib/base/strings.hpp"
#include "vmscript/nt.hpp"
#include "vmscript/plan.hpp"

namespace slipway::vmscript {

namespace {

namespace windows = fixup::windows;

std::optional<windows::Architecture> architecture_of(std::string_view name) {
    static constexpr struct {
        std::string_view name;
        windows::Architecture is;
    } kNames[] = {
        {"x86", windows::Architecture::X86},       {"i386", windows::Architecture::X86},
        {"i486", windows::Architecture::X86},      {"i586", windows::Architecture::X86},
        {"i686", windows::Architecture::X86},      {"32-bit", windows::Architecture::X86},
        {"amd64", windows::Architecture::Amd64},   {"x86_64", windows::Architecture::Amd64},
        {"x64", windows::Architecture::Amd64},     {"64-bit", windows::Architecture::Amd64},
        {"aarch64", windows::Architecture::Arm64}, {"arm64", windows::Architecture::Arm64},
    };
    for (const auto& row : kNames)
        if (iequals(row.name, name)) return row.is;
    return std::nullopt;
}

std::optional<windows::WindowsSystem> system_of(const gatherhw::OperatingSystem& os) {
    const auto nt = nt_version(os);
    const auto architecture = architecture_of(os.architecture);
    if (!nt || !architecture) return std::nullopt;
    return windows::WindowsSystem{.product = os.name,
                                  .major = nt->major,
                                  .minor = nt->minor,
                                  .build = nt_build(os).value_or(0),
                                  .service_pack = service_pack(os).value_or(0),
                                  .server = !os.role.empty() && os.role != "workstation",
                                  .architecture = *architecture};
}

// The VM's adapter, an Intel 82540EM.
bool for_the_adapter(const windows::DropIn& drop_in) {
    constexpr std::string_view kAdapter = "PCI\\VEN_8086&DEV_100E";
    const auto& devices = drop_in.package.devices;
    return std::any_of(devices.begin(), devices.end(), [&](const auto& device) {
        return std::any_of(device.ids.begin(), device.ids.end(),
                           [&](const std::string& id) { return id.starts_with(kAdapter); });
    });
}

}  // namespace

std::optional<DropInDrivers> drop_in_drivers(const gatherhw::Inventory& inventory, const Switches& switches) {
    if (switches.driver_directories.empty() || inventory.os.family != "windows") return std::nullopt;
    DropInDrivers out;
    const auto system = system_of(inventory.os);
    if (!system) {
        out.why_not = {"the inventory does not say which Windows it is, and of which architecture"};
        return out;
    }
    const auto files =
        fixup::read_driver_directories({switches.driver_directories.begin(), switches.driver_directories.end()});
    if (!files) {
        out.why_not = {files.error().message()};
        return out;
    }
    const auto disks = choose_disks(inventory, switches.excluded_drives);
    const auto controller = choose_controller(switches.controller, disks.kept, inventory);
    const auto target = fixup::parse_target(name_of(controller)).value_or(fixup::TargetController::Ide);
    auto chosen = windows::choose_drop_ins(*files, *system, target);
    if (!chosen.storage.empty()) out.storage = chosen.storage.front().inf;
    for (const auto& drop_in : chosen.network)
        if (for_the_adapter(drop_in)) out.adapter = drop_in.inf;
    out.why_not = std::move(chosen.refused);
    return out;
}

}  // namespace slipway::vmscript
