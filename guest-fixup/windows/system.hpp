// SPDX-License-Identifier: GPL-3.0-or-later
// Which Windows it is, and what the steps of its repair work on.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "guest-fixup/fixup.hpp"
#include "guest-fixup/guest.hpp"
#include "guest-fixup/windows/hive.hpp"

namespace slipway::fixup::windows {

enum class Architecture { X86, Amd64, Arm64 };
std::string_view name_of(Architecture architecture);  // "x86", "amd64", "arm64"

struct WindowsSystem {
    std::string root;     // %SystemRoot% as a path of the guest in its own spelling: "/WINDOWS", "/WINNT"
    std::string product;  // "Windows Server 2003 Standard"
    unsigned major = 0, minor = 0, build = 0;  // 5.2.3790
    unsigned service_pack = 0;
    bool server = false;
    Architecture architecture = Architecture::X86;
    std::string control_set;  // "ControlSet001": Select\Current
    // Where the volume that starts it (boot.ini, the BCD, the EFI loader) is mounted; "": it is on the same one.
    std::string boot;
    std::string services() const { return control_set + "\\Services"; }
    bool at_least(unsigned want_major, unsigned want_minor) const {
        return major != want_major ? major > want_major : minor >= want_minor;
    }
};

struct DiskPlace;  // disk_place.hpp

// Steps are functions of this; the pure ones take a Hive& and values instead.
struct WindowsRepair {
    const RepairRequest& request;
    Guest& guest;
    const WindowsSystem& windows;
    Hive& system;    // HKLM\SYSTEM
    Hive& software;  // HKLM\SOFTWARE
    RepairReport& report;
    std::function<void(const std::string&)> note;
    const DiskPlace* disk = nullptr;  // where its volume lies; null when a mounted root was given

    void warn(std::string text) { report.warnings.push_back(std::move(text)); }
};

// A guest path of whatever spelling ("/windows/SYSTEM32/config") in the one the file system has; nullopt when there is
// none. Where two differ by case alone, the one that is spelled so, else the first in sorted order. Files that a dry
// run would have made count.
std::optional<std::string> find_path(const Guest& guest, std::string_view path);

// ---- the steps, each in a file of its own
Status repair_storage(
    WindowsRepair& repair);  // storage.cpp: boot start of the target's controller, its PnP routes, filters
Status add_drop_in_drivers(WindowsRepair& repair);  // drop_in.cpp: drivers by their INF files
Status repair_processor(WindowsRepair& repair);     // processor.cpp: intelppm and its like
Status repair_crash_control(WindowsRepair& repair);
Status repair_filters(WindowsRepair& repair);          // filters.cpp: after the steps that disable drivers
Status repair_mounted_devices(WindowsRepair& repair);  // mounted_devices.cpp
Status repair_hal(WindowsRepair& repair);     // hal/: HAL and kernel from the patch library, boot.ini, Setup.log
Status repair_agents(WindowsRepair& repair);  // agents.cpp: services, drivers, programs by P2Vdrivers.xml
Status repair_network(
    WindowsRepair& repair);  // network.cpp: static addresses to the new adapter, the absent one removed
Status add_first_boot(WindowsRepair& repair);  // first_boot.cpp: scripts, proof, sysprep answer file

}  // namespace slipway::fixup::windows
