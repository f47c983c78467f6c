// SPDX-License-Identifier: GPL-3.0-or-later
// Which drivers a Windows needs to start from a controller, and what its registry must say of them. Pure: of the files
// it asks by a function.
// Sources: KB 314082 (the rows of NT 5.x); the CriticalDeviceDatabase of Windows 2000 to 7 and the DriverDatabase from
// Windows 8 on, which say themselves which driver takes a device; virt-v2v's convert_windows.ml and
// inject_virtio_win.ml for what virtio-win's drivers need.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "guest-fixup/windows/system.hpp"

namespace slipway::fixup::windows {

// path: below %SystemRoot%, "system32/drivers/atapi.sys", in any case.
using HasFile = std::function<bool(const std::string& path)>;

// The hardware ids of the controller as QEMU has it, the most exact first: "VEN_8086&DEV_7010", "CC_0101".
const std::vector<std::string>& device_ids(TargetController target);

// Where a service's program is, below %SystemRoot%: its ImagePath, or what Windows takes without one. Empty: elsewhere.
std::string driver_file(const Hive& system, const std::string& services, const std::string& service);

// The service that takes a device by the registry's own word; empty: none.
std::string service_by_critical_devices(const Hive& system, const std::string& control_set, const std::string& id);
std::string service_by_driver_database(const Hive& system, const std::string& id);

// Sets up the start from `target`; the services that it will use. Errors: fixup.windows-driver names everything that
// is missing, and nothing was changed then.
Result<std::vector<std::string>> set_up_storage(Hive& system, const WindowsSystem& windows, TargetController target,
                                                const HasFile& has_file);

}  // namespace slipway::fixup::windows
