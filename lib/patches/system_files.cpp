// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/patches/system_files.hpp"

#include "lib/base/strings.hpp"

namespace slipway::patches {

namespace {

constexpr HalRow kHals[] = {
    {HalKind::Other, "", "", "another vendor's HAL", false, false, false},
    {HalKind::StandardPc, "hal.dll", "e_isa_up", "Standard PC", false, false, false},
    {HalKind::SystemPro, "halsp.dll", "syspro_mp", "Compaq SystemPro Multiprocessor", false, false, true},
    {HalKind::MpsUniprocessor, "halapic.dll", "mps_up", "MPS Uniprocessor PC", false, true, false},
    {HalKind::MpsMultiprocessor, "halmps.dll", "mps_mp", "MPS Multiprocessor PC", false, true, true},
    {HalKind::AcpiPc, "halacpi.dll", "acpipic_up", "Advanced Configuration and Power Interface (ACPI) PC", true, false,
     false},
    {HalKind::AcpiUniprocessor, "halaacpi.dll", "acpiapic_up", "ACPI Uniprocessor PC", true, true, false},
    {HalKind::AcpiMultiprocessor, "halmacpi.dll", "acpiapic_mp", "ACPI Multiprocessor PC", true, true, true},
};

constexpr KernelRow kKernels[] = {
    {"ntoskrnl.exe", kKernelFile, false},
    {"ntkrnlmp.exe", kKernelFile, true},
    {"ntkrnlpa.exe", kPaeKernelFile, false},
    {"ntkrpamp.exe", kPaeKernelFile, true},
};

}  // namespace

std::span<const HalRow> hal_rows() { return kHals; }
std::span<const KernelRow> kernel_rows() { return kKernels; }

const HalRow& row_of(HalKind kind) {
    for (const auto& row : kHals)
        if (row.kind == kind) return row;
    return kHals[0];
}

const HalRow* hal_of_file(std::string_view original_name) {
    for (const auto& row : kHals)
        if (!row.file.empty() && iequals(row.file, original_name)) return &row;
    return nullptr;
}

const HalRow* hal_of_hardware_id(std::string_view id) {
    for (const auto& row : kHals)
        if (!row.hardware_id.empty() && iequals(row.hardware_id, id)) return &row;
    return nullptr;
}

const KernelRow* kernel_of_file(std::string_view original_name) {
    for (const auto& row : kKernels)
        if (iequals(row.file, original_name)) return &row;
    return nullptr;
}

const KernelRow& kernel_for(std::string_view installed, bool mp) {
    for (const auto& row : kKernels)
        if (iequals(row.installed, installed) && row.mp == mp) return row;
    return kKernels[mp ? 1 : 0];
}

bool is_system_file(std::string_view original_name) {
    return hal_of_file(original_name) != nullptr || kernel_of_file(original_name) != nullptr;
}

}  // namespace slipway::patches
