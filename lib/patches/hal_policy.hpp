// SPDX-License-Identifier: GPL-3.0-or-later
// Whether a Windows needs another HAL and other kernels on its new machine, and exactly which files those are. Pure.
//
// A HAL and a kernel belong together: a uniprocessor HAL with the multiprocessor kernel, or the other way round, stops
// with 0x79 MISMATCHED_HAL. So a decision names whatever it takes for the whole set to fit, and each file in the
// version and language of the one it replaces. Vista and Server 2008 have one kernel and choose the HAL when they start
// (`detecthal`); 64-bit Windows has one of each.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/patches/fix_hal.hpp"
#include "lib/patches/library.hpp"
#include "lib/patches/system_files.hpp"

namespace slipway::patches {

struct InstalledFile {
    std::string name;  // as it is installed: "hal.dll", "ntoskrnl.exe", "ntkrnlpa.exe"; what /HAL= and /KERNEL= name
    std::optional<PeVersion> version;  // nullopt: it has none, or is damaged
    bool operator==(const InstalledFile&) const = default;
};

struct InstalledSystem {
    unsigned major = 0, minor = 0;  // 5.2
    bool x86 = true;
    std::vector<InstalledFile> files;  // of system32, those of the three names that are there
    // Of boot.ini's default entry: other files of system32 that are in use. Empty: the usual ones.
    std::optional<InstalledFile> switched_hal, switched_kernel;
    std::string hardware_id;  // Enum\Root\ACPI_HAL or PCI_HAL; "" where it is not known (NT 4 has none)
};

struct TargetMachine {
    unsigned processors = 1;
    bool acpi = true, apic = true, mp_table = true;  // QEMU's PC with SeaBIOS has all of them
};

struct WantedFile {
    FileKey key;             // exactly this one of the library
    std::string install_as;  // below system32: "hal.dll"
    std::string like = {};   // the installed file that the key's version and language are of
    bool operator==(const WantedFile&) const = default;
};

struct HalDecision {
    HalKind from = HalKind::Other, to = HalKind::Other;
    std::string why;                // one sentence for people
    std::vector<WantedFile> files;  // all or none of them; empty: nothing is exchanged
    // Of the device that HALs of the new one's family are, where there is one: ACPI_HAL, or PCI_HAL for those without
    // ACPI. The other family's keeps its own. "": as it is.
    std::string hardware_id;
    bool remove_switches = false;  // /HAL= and /KERNEL= of boot.ini
    bool detect_hal = false;       // Vista to 7: the loader is to choose at each start
    std::vector<std::string> warnings;
};

// Errors: patches.hal (what is asked for does not exist for this Windows; a file in use has no version).
Result<HalDecision> decide_hal(const InstalledSystem& system, const TargetMachine& target, FixHal fix);

// Of these, those that the library has not.
std::vector<WantedFile> missing_in(const Library& library, const std::vector<WantedFile>& wanted);
// "halacpi.dll 5.2.3790.3959 (0409, English) in /var/lib/slipway/Patches/Source/5.2.3790.3959/0409": the folder to make
// and the file to copy into it.
std::string describe_missing(const WantedFile& file, const std::filesystem::path& library);

}  // namespace slipway::patches
