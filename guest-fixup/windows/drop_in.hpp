// SPDX-License-Identifier: GPL-3.0-or-later
// Third-party drivers from folders of the administrator's: chosen by their INF files, copied where Windows looks for
// them, and, for the controller the disk will be on, registered so that the boot finds it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/windows/inf.hpp"
#include "guest-fixup/windows/system.hpp"

namespace slipway::fixup::windows {

// The directory's names say for which Windows and machine virtio-win made a driver ("w10/amd64", "2k8R2/x86").
// Bigger is closer; nullopt: for another one. 0: the names say nothing.
std::optional<unsigned> directory_suits(std::string_view path, const WindowsSystem& windows);

// What the controller is to Windows: beginnings of hardware ids, "PCI\VEN_1AF4&DEV_1001".
const std::vector<std::string>& hardware_of(TargetController target);

struct DropIn {
    std::string inf;  // its path among the files
    InfPackage package;
    unsigned directory = 0;
};

struct DropIns {
    std::vector<DropIn> storage;  // at most one: what the target needs
    std::vector<DropIn> network;
    // Why which INF does not serve, the closest first: "…/w11/viostor.inf: its folder is for another Windows …". Not of
    // those that another of the same name is better than.
    std::vector<std::string> refused;
};
// The best of each INF's name. Errors: none; an INF that cannot be read is refused.
DropIns choose_drop_ins(const std::vector<PackageFile>& files, const WindowsSystem& windows, TargetController target);

// Ids to register a device by: as the INF has them, and those without subsystem, for a device reports all of them.
// Only PCI ids of the form Windows makes.
std::vector<std::string> registered_ids(const InfDevice& device);

// SYSTEM: the service at boot start, and its devices by the hive's own route: DriverDatabase where that is (Windows 8
// and later), else CriticalDeviceDatabase (2000 to 7).
Status register_boot_driver(Hive& system, const WindowsSystem& windows, const InfPackage& package,
                            const InfDevice& device);

}  // namespace slipway::fixup::windows
