// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/patches/hal_policy.hpp"

#include <algorithm>

#include "lib/base/strings.hpp"
#include "lib/patches/errors.hpp"

namespace slipway::patches {

namespace {

bool runs(const HalRow& hal, const TargetMachine& target) {
    if (hal.kind == HalKind::Other || hal.kind == HalKind::SystemPro) return false;
    if (hal.acpi && !target.acpi) return false;
    return !hal.apic || (target.apic && (hal.acpi || target.mp_table));
}

const InstalledFile* find_file(const InstalledSystem& system, std::string_view name) {
    for (const auto& file : system.files)
        if (iequals(file.name, name)) return &file;
    return nullptr;
}

const InstalledFile* hal_in_use(const InstalledSystem& system) {
    return system.switched_hal ? &*system.switched_hal : find_file(system, kHalFile);
}
const InstalledFile* kernel_in_use(const InstalledSystem& system) {
    return system.switched_kernel ? &*system.switched_kernel : find_file(system, kKernelFile);
}

// By its own word; the registry's where it is a vendor's.
const HalRow& installed_hal(const InstalledSystem& system) {
    const auto* file = hal_in_use(system);
    if (file && file->version)
        if (const auto* row = hal_of_file(file->version->original_name)) return *row;
    return row_of(HalKind::Other);
}

// Whether the kernel in use is one for that HAL, as far as it can be told.
bool matched(const InstalledSystem& system, const HalRow& hal) {
    const auto* kernel = kernel_in_use(system);
    const auto* row = kernel && kernel->version ? kernel_of_file(kernel->version->original_name) : nullptr;
    return !row || row->mp == hal.mp;
}

bool has_acpi(const InstalledSystem& system, const HalRow& installed) {
    const auto* named = hal_of_hardware_id(system.hardware_id);
    return installed.acpi || (installed.kind == HalKind::Other && named && named->acpi);
}

bool multiprocessor(const InstalledSystem& system, const HalRow& installed) {
    const auto* kernel = kernel_in_use(system);
    const auto* row = kernel && kernel->version ? kernel_of_file(kernel->version->original_name) : nullptr;
    return installed.kind == HalKind::Other ? row && row->mp : installed.mp;
}

// The nearest of the same family that runs: a change between ACPI and none renumbers all devices.
HalKind nearest(const InstalledSystem& system, const TargetMachine& target, const HalRow& installed) {
    const bool mp = multiprocessor(system, installed);
    if (has_acpi(system, installed) && target.acpi)
        return mp && target.apic ? HalKind::AcpiMultiprocessor : HalKind::AcpiPc;
    return mp && runs(row_of(HalKind::MpsMultiprocessor), target) ? HalKind::MpsMultiprocessor : HalKind::StandardPc;
}

HalKind asked_for(const TargetMachine& target, FixHal fix) {
    if (fix == FixHal::Nacpi) return HalKind::StandardPc;
    return target.processors > 1 && target.apic ? HalKind::AcpiMultiprocessor : HalKind::AcpiPc;
}

Result<WantedFile> one_like(const InstalledFile& file, std::string_view name, std::string_view install_as) {
    if (!file.version)
        return make_error(errors::kHal, "system32\\{} has no version, so that nothing can match it", file.name);
    return WantedFile{
        {std::string(name), file.version->version, file.version->language}, std::string(install_as), file.name};
}

// HAL and kernels as one set: whatever of it is not right already.
Result<std::vector<WantedFile>> files_for(const InstalledSystem& system, const HalRow& installed, const HalRow& to) {
    std::vector<WantedFile> out;
    const auto* hal = hal_in_use(system);
    const auto* usual = find_file(system, kHalFile);
    if (!hal) return make_error(errors::kHal, "system32 has no {}", kHalFile);
    const bool right = usual && usual->version && iequals(usual->version->original_name, to.file);
    if (!right) {
        // Another vendor's HAL counts its versions its own way: the kernel's tells the service level.
        const auto* kernel = installed.kind == HalKind::Other ? kernel_in_use(system) : nullptr;
        out.push_back(TRY(one_like(kernel ? *kernel : *hal, to.file, kHalFile)));
    }
    for (auto name : {kKernelFile, kPaeKernelFile}) {
        const auto* file = find_file(system, name);
        if (!file) continue;
        const auto& row = kernel_for(name, to.mp);
        if (file->version && iequals(file->version->original_name, row.file)) continue;
        out.push_back(TRY(one_like(*file, row.file, name)));
    }
    return out;
}

// Vista and later, and every 64-bit Windows.
Result<HalDecision> modern(const InstalledSystem& system, FixHal fix) {
    HalDecision out;
    if (fix == FixHal::Nacpi)
        return make_error(errors::kHal, "{} runs on ACPI alone: there is no Standard PC for it",
                          system.x86 ? "Windows Vista and later" : "64-bit Windows");
    const bool chooses = system.x86 && system.major == 6 && system.minor <= 1;
    out.detect_hal = chooses && fix == FixHal::Acpi;
    if (!system.x86) out.why = "64-bit Windows has one HAL for all machines";
    else if (out.detect_hal) out.why = "its loader is told to choose the HAL at each start (detecthal)";
    else if (chooses) out.why = "its HALs for ACPI run on the new machine";
    else out.why = "it chooses its HAL at each start";
    return out;
}

void add_warnings(const HalRow& from, const HalRow& to, bool had_acpi, const TargetMachine& target, HalDecision& out) {
    if (had_acpi != to.acpi)
        out.warnings.push_back(fmt::format(
            "The HAL changes from {} to {}: between ACPI and none Windows numbers all devices anew, which can stop it "
            "with 0x7B. If it does, undo the repair and use --fixhal auto.",
            from.title, to.title));
    if (target.processors > 1 && !to.mp)
        out.warnings.push_back(fmt::format("{} uses one of {} processors{}", to.title, target.processors,
                                           to.acpi ? "; --fixhal acpi installs the one that uses them all" : ""));
}

Result<HalDecision> classic(const InstalledSystem& system, const TargetMachine& target, FixHal fix) {
    HalDecision out;
    const auto& installed = installed_hal(system);
    out.from = out.to = installed.kind;
    if (fix == FixHal::Acpi && system.major < 5)
        return make_error(errors::kHal, "Windows NT 4 knows no ACPI: --fixhal nacpi is its Standard PC");
    const bool fits = runs(installed, target) && matched(system, installed);
    if (fix == FixHal::None || (fix == FixHal::Auto && fits)) {
        out.why = fits ? fmt::format("its HAL, {}, runs on the new machine", installed.title)
                       : "nothing was to be exchanged (--fixhal none)";
        if (!fits)
            out.warnings.push_back(fmt::format(
                "Its HAL, {}, does not run on the new machine; --fixhal auto exchanges it", installed.title));
        else add_warnings(installed, installed, installed.acpi, target, out);
        return out;
    }
    out.to = fix == FixHal::Auto ? nearest(system, target, installed) : asked_for(target, fix);
    const auto& to = row_of(out.to);
    if (!runs(to, target)) return make_error(errors::kHal, "{} does not run on the new machine", to.title);
    out.files = TRY(files_for(system, installed, to));
    out.remove_switches = system.switched_hal || system.switched_kernel;
    if (out.files.empty()) out.why = fmt::format("its HAL is {} already", to.title);
    else out.why = fmt::format("{} takes the place of {}", to.title, installed.title);
    out.hardware_id = to.hardware_id;
    add_warnings(installed, to, has_acpi(system, installed), target, out);
    return out;
}

}  // namespace

Result<HalDecision> decide_hal(const InstalledSystem& system, const TargetMachine& target, FixHal fix) {
    return !system.x86 || system.major >= 6 ? modern(system, fix) : classic(system, target, fix);
}

std::vector<WantedFile> missing_in(const Library& library, const std::vector<WantedFile>& wanted) {
    std::vector<WantedFile> out;
    std::copy_if(wanted.begin(), wanted.end(), std::back_inserter(out),
                 [&](const WantedFile& file) { return library.find(file.key) == nullptr; });
    return out;
}

std::string describe_missing(const WantedFile& file, const std::filesystem::path& library) {
    return fmt::format("{} in {}", file.key.text(), path_of(library, file.key).parent_path().string());
}

}  // namespace slipway::patches
