// SPDX-License-Identifier: GPL-3.0-or-later
// The HAL and kernels that the new machine needs, from the patch library; boot.ini and setup.log follow. What to
// exchange is lib/patches/hal_policy.hpp's.
#include <algorithm>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/windows/bcd.hpp"
#include "guest-fixup/windows/disk_place.hpp"
#include "guest-fixup/windows/hal/boot_ini.hpp"
#include "guest-fixup/windows/hal/setup_log.hpp"
#include "guest-fixup/windows/hive_files.hpp"
#include "guest-fixup/windows/system.hpp"
#include "lib/base/strings.hpp"
#include "lib/patches/errors.hpp"
#include "lib/patches/hal_policy.hpp"

namespace slipway::fixup::windows {

namespace {

constexpr std::uint64_t kLargestText = 4u << 20;

// A file beside the loader, which may be on another volume than Windows: where that is mounted.
std::string beside_loader(const WindowsRepair& repair, const std::string& name) {
    const auto wanted = repair.windows.boot + name;
    return find_path(repair.guest, wanted).value_or(wanted);
}

std::string system32(const WindowsRepair& repair) {
    const auto wanted = repair.windows.root + "/system32";
    return find_path(repair.guest, wanted).value_or(wanted);
}

// The path in its own spelling, or where it would be.
std::string in_system32(const WindowsRepair& repair, const std::string& name) {
    const auto wanted = system32(repair) + "/" + name;
    return find_path(repair.guest, wanted).value_or(wanted);
}

Result<std::optional<patches::InstalledFile>> look_at_file(const WindowsRepair& repair, const std::string& name) {
    const auto content = TRY(repair.guest.read(in_system32(repair, name), patches::kLargestFile));
    if (!content) return std::optional<patches::InstalledFile>();
    patches::InstalledFile out{name, std::nullopt};
    if (auto version = patches::read_pe_version(as_bytes(*content))) out.version = *std::move(version);
    return std::optional(std::move(out));
}

// A file of system32, as boot.ini names it: a name alone.
bool plain_name(std::string_view name) {
    return !name.empty() && name.size() <= 64 && name.find_first_of("/\\:") == std::string_view::npos && name != "." &&
           name != "..";
}

// The key of the device that HALs of the family are; "": there is none. An exchange between the families leaves the old
// one behind, and Windows makes the new one at its start.
std::string hal_device(const WindowsRepair& repair, bool acpi) {
    const auto key = fmt::format("{}\\Enum\\Root\\{}\\0000", repair.windows.control_set, acpi ? "ACPI_HAL" : "PCI_HAL");
    return repair.system.strings(key, "HardwareID") ? key : "";
}

Result<std::optional<std::string>> read_boot_ini_file(const WindowsRepair& repair) {
    return repair.guest.read(beside_loader(repair, "/boot.ini"), kLargestText);
}

Status write_boot_ini(WindowsRepair& repair, const std::string& what, const std::string& text) {
    return repair.guest.write(what, beside_loader(repair, "/boot.ini"), text);
}

Result<patches::InstalledSystem> look_at(WindowsRepair& repair) {
    patches::InstalledSystem out{.major = repair.windows.major,
                                 .minor = repair.windows.minor,
                                 .x86 = repair.windows.architecture == Architecture::X86};
    if (!out.x86 || out.major >= 6) return out;
    for (auto name : {patches::kHalFile, patches::kKernelFile, patches::kPaeKernelFile})
        if (auto file = TRY(look_at_file(repair, std::string(name)))) out.files.push_back(*std::move(file));
    auto device = hal_device(repair, true);
    if (device.empty()) device = hal_device(repair, false);
    if (!device.empty())
        if (const auto ids = repair.system.strings(device, "HardwareID"); ids && !ids->empty())
            out.hardware_id = ids->front();
    const auto text = TRY(read_boot_ini_file(repair));
    if (!text) return out;
    const auto entries = read_boot_ini(*text);
    const auto* entry = default_entry(entries);
    if (!entry) return out;
    if (const auto hal = switch_value(*entry, "/HAL"); plain_name(hal))
        out.switched_hal = TRY(look_at_file(repair, hal));
    if (const auto kernel = switch_value(*entry, "/KERNEL"); plain_name(kernel))
        out.switched_kernel = TRY(look_at_file(repair, kernel));
    return out;
}

std::vector<std::filesystem::path> libraries(const RepairRequest& request) {
    auto out = request.patch_directories;
    out.emplace_back(patches::kDefaultLibrary);
    return out;
}

// From whoever has a library for this repair; what comes is looked at like a file of our own.
Result<std::optional<std::string>> ask_for(const WindowsRepair& repair, const patches::FileKey& key) {
    if (!repair.request.patch_supply) return std::optional<std::string>();
    auto content = TRY_WITH(repair.request.patch_supply(key), key.text());
    if (!content) return content;
    const auto is = TRY_WITH(patches::key_of(as_bytes(*content)), "what came for " + key.text());
    if (is != key) return make_error(errors::kPatches, "for {} came {}", key.text(), is.text());
    return content;
}

// All of the files, or none: half of them would not start.
Result<std::vector<std::string>> take_from_library(const WindowsRepair& repair,
                                                   const std::vector<patches::WantedFile>& files) {
    const auto directories = libraries(repair.request);
    const auto library = patches::Library::open(directories);
    std::vector<std::string> missing, contents;
    for (const auto& file : files) {
        const auto* here = library.find(file.key);
        auto content = here ? std::optional(TRY(library.read(*here))) : TRY(ask_for(repair, file.key));
        if (content) contents.push_back(*std::move(content));
        else missing.push_back(patches::describe_missing(file, directories.front()));
    }
    if (!missing.empty())
        return make_error(errors::kPatches, "{} needs what the patch library has not: {}",
                          printable(repair.windows.product), join(missing, "; "));
    return contents;
}

// NT 4's record of what was installed.
Status edit_setup_log_file(WindowsRepair& repair, const std::vector<patches::WantedFile>& files,
                           const std::vector<std::string>& contents) {
    const auto path = find_path(repair.guest, repair.windows.root + "/repair/setup.log");
    const auto text = path ? TRY(repair.guest.read(*path, kLargestText)) : std::nullopt;
    if (!text) {
        repair.warn("There is no repair\\setup.log: the next service pack may install the old HAL again.");
        return {};
    }
    std::vector<SetupFile> now;
    for (std::size_t i = 0; i < files.size(); ++i)
        now.push_back({files[i].install_as, files[i].key.name, TRY(patches::pe_checksum(as_bytes(contents[i])))});
    return repair.guest.write("setup.log: the HAL and kernel that are installed now", *path,
                              edit_setup_log(*text, now));
}

Status exchange(WindowsRepair& repair, const patches::HalDecision& decision) {
    const auto contents = TRY(take_from_library(repair, decision.files));
    for (std::size_t i = 0; i < contents.size(); ++i) {
        const auto& file = decision.files[i];
        TRY(repair.guest.write("HAL and kernel: " + file.key.text(), in_system32(repair, file.install_as),
                               contents[i]));
    }
    return repair.windows.major == 4 ? edit_setup_log_file(repair, decision.files, contents) : Status();
}

// The first ID says which HAL it is; those behind it stay.
Status set_hardware_id(WindowsRepair& repair, const std::string& id) {
    const auto* hal = patches::hal_of_hardware_id(id);
    const auto key = hal_device(repair, hal && hal->acpi);
    auto ids = repair.system.strings(key, "HardwareID").value_or(std::vector<std::string>{});
    if (key.empty() || ids.empty()) return {};
    if (!iequals(ids.front(), id)) ids.front() = id;
    return repair.system.set("the HAL's device", key, "HardwareID", reg_multi_sz(ids));
}

// Of the entry that starts when nobody chooses.
Status set_detect_hal(WindowsRepair& repair) {
    const auto path = beside_loader(repair, "/Boot/BCD");
    if (!repair.guest.exists(path)) {
        repair.warn(
            "There is no Boot\\BCD beside Windows: `bcdedit /set detecthal yes` does what --fixhal acpi means.");
        return {};
    }
    auto loaded = TRY(load_hive(repair.guest, path, "BCD"));
    auto store = TRY_WITH(BcdStore::of(loaded.hive), path);
    const auto loader = store.default_object();
    if (!loader || !store.object(*loader)) {
        repair.warn("The boot menu has no default entry: its HAL was not set.");
        return {};
    }
    TRY(store.set_boolean("boot entry: the HAL is chosen at each start", *loader, BcdElement::LoaderDetectHal, true));
    return write_hive(repair.guest, loaded);
}

FirmwareDisks firmware_disks(const WindowsRepair& repair) {
    FirmwareDisks out;
    out.windows_folder = repair.windows.root.substr(1);
    out.started_from = repair.system.string(repair.windows.control_set + "\\Control", "SystemBootDevice").value_or("");
    if (!repair.disk) return out;
    out.signatures = repair.disk->signatures;
    out.windows_disk = repair.disk->number;
    out.windows_partition = repair.disk->number_of(repair.disk->windows_partition);
    return out;
}

// Before anything else of boot.ini is looked at: what is read through the old controller's driver is not read at all.
Status repair_boot_paths(WindowsRepair& repair) {
    if (repair.windows.major >= 6) return {};
    const auto text = TRY(read_boot_ini_file(repair));
    if (!text) {
        if (repair.disk)
            repair.warn(
                "No boot.ini was found: what starts this Windows is on a disk that was not given (--more-disk, or "
                "more-disks of the task), or lost. Its paths were not looked at.");
        return {};
    }
    const auto firmware = with_firmware_paths(*text, firmware_disks(repair));
    for (const auto& path : firmware.left)
        repair.warn(fmt::format(
            "boot.ini: {} stays as it is, and will not start: it is read through the old controller's driver, and "
            "which "
            "of the new machine's disks it means is not known. By the firmware it is multi(0)disk(0)rdisk(N) instead, "
            "N the disk's number from 0 on; or give the machine's other disks too (--more-disk), in their order.",
            printable(path)));
    return write_boot_ini(repair, "boot.ini: read by the firmware, not by the old controller's driver", firmware.text);
}

}  // namespace

Status repair_hal(WindowsRepair& repair) {
    TRY(repair_boot_paths(repair));
    const auto installed = TRY(look_at(repair));
    const patches::TargetMachine target{.processors = std::max(1u, repair.request.processors)};
    auto decided = patches::decide_hal(installed, target, repair.request.fix_hal);
    if (!decided && repair.request.fix_hal == patches::FixHal::Auto && decided.error().is(patches::errors::kHal)) {
        // Nobody asked for an exchange, and what is there may be right.
        repair.warn("HAL and kernel stay as they are: " + decided.error().message());
        return {};
    }
    const auto decision = TRY(std::move(decided));
    if (repair.note) repair.note("HAL: " + decision.why);
    if (!decision.files.empty()) TRY(exchange(repair, decision));
    if (decision.remove_switches)
        if (const auto text = TRY(read_boot_ini_file(repair)))
            TRY(write_boot_ini(repair, "boot.ini: without /HAL= and /KERNEL=", without_hal_switches(*text)));
    if (!decision.hardware_id.empty()) TRY(set_hardware_id(repair, decision.hardware_id));
    if (decision.detect_hal) TRY(set_detect_hal(repair));
    for (const auto& warning : decision.warnings) repair.warn(warning);
    return {};
}

}  // namespace slipway::fixup::windows
