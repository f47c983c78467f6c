// SPDX-License-Identifier: GPL-3.0-or-later
// Rows for storage_plan.cpp: what Windows' own setup writes for its storage drivers.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/windows/system.hpp"

namespace slipway::fixup::windows {

inline constexpr const char* kHardDiskControllerClass = "{4D36E96A-E325-11CE-BFC1-08002BE10318}";
inline constexpr const char* kScsiAdapterClass = "{4D36E97B-E325-11CE-BFC1-08002BE10318}";
inline constexpr const char* kDiskClass = "{4D36E967-E325-11CE-BFC1-08002BE10318}";

// A key of Services for where there is none, or where it says nothing.
struct InboxService {
    std::string_view name, group;
    std::uint32_t tag = 0;     // 0: none
    std::string_view library;  // a file beside its own, without which it does not load
    // A miniport of SCSIPORT that Plug and Play gives its device to, on PCI (Parameters\PnpInterface "5"); without that
    // SCSIPORT lets it look for devices as NT 4's did, and the boot may wait for one that nobody reports.
    bool pnp_interface = false;
};
std::span<const InboxService> inbox_services();

// A key of CriticalDeviceDatabase: "pci#cc_0101".
struct CriticalDevice {
    std::string device, service, class_guid;
};
const std::vector<CriticalDevice>& critical_devices_of_ide();  // KB 314082, and QEMU's and Virtual PC's chipsets

// From Windows 8 on, below DriverDatabase: DriverInfFiles, DriverPackages and DeviceIds, as its own setup writes them
// and virt-v2v does for virtio. Ids that it knows already stay as they are.
Status add_to_driver_database(Hive& system, Architecture architecture, const std::string& service,
                              const std::vector<std::string>& ids);

}  // namespace slipway::fixup::windows
