// SPDX-License-Identifier: GPL-3.0-or-later
// The HALs and kernels of 32-bit Windows NT 4 to Server 2003, as rows. Setup installs them under other names: whichever
// HAL is system32\hal.dll, whichever kernels are ntoskrnl.exe and (with PAE, from 2000 on) ntkrnlpa.exe; what they are
// stands in their version's OriginalFilename.
// Sources: Microsoft KB 249694 ("How to restore a Windows installation to different hardware": the HALs and which may
// be exchanged for which); ReactOS boot/bootdata/txtsetup.sif (which kernel goes with which HAL); Microsoft, DevCon's
// examples (the hardware IDs).
#pragma once

#include <span>
#include <string_view>

namespace slipway::patches {

enum class HalKind {
    Other,  // a vendor's own, or one of NT 4's for machines of its day
    StandardPc,
    SystemPro,
    MpsUniprocessor,
    MpsMultiprocessor,
    AcpiPc,  // interrupts by the PIC: runs on every PC with ACPI
    AcpiUniprocessor,
    AcpiMultiprocessor,
};

struct HalRow {
    HalKind kind;
    std::string_view file;         // OriginalFilename
    std::string_view hardware_id;  // of Enum\Root\ACPI_HAL\0000 or …\PCI_HAL\0000
    std::string_view title;        // as the device manager has it
    bool acpi, apic, mp;           // what it needs: ACPI tables, an I/O APIC; mp: the multiprocessor kernels
};
std::span<const HalRow> hal_rows();
const HalRow& row_of(HalKind kind);
const HalRow* hal_of_file(std::string_view original_name);
const HalRow* hal_of_hardware_id(std::string_view id);

struct KernelRow {
    std::string_view file;       // OriginalFilename
    std::string_view installed;  // as setup names it
    bool mp;
};
std::span<const KernelRow> kernel_rows();
const KernelRow* kernel_of_file(std::string_view original_name);
// The kernel that is installed under that name where the HAL is (not) a multiprocessor one.
const KernelRow& kernel_for(std::string_view installed, bool mp);

inline constexpr std::string_view kHalFile = "hal.dll", kKernelFile = "ntoskrnl.exe", kPaeKernelFile = "ntkrnlpa.exe";

// Any of the rows: what the patch library holds.
bool is_system_file(std::string_view original_name);

}  // namespace slipway::patches
