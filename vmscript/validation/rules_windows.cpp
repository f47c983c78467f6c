// SPDX-License-Identifier: GPL-3.0-or-later
// Windows alone: what its repair needs, and what the system does on hardware it does not know.
#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "lib/patches/hal_policy.hpp"
#include "vmscript/validation/rule.hpp"

namespace slipway::vmscript {

using namespace gatherhw;

namespace {

// Last service packs of systems whose earlier ones lack what a move needs.
struct PackRow {
    NtVersion version;
    unsigned least;
    Verdict verdict;
    std::string_view says;
};
constexpr PackRow kPacks[] = {
    {kNt4, 6, Verdict::Error,
     "Windows NT 4.0 is repaired with Service Pack 6a; its files of earlier ones do not mix with these."},
    {kWindows2000, 4, Verdict::Warning,
     "Service Pack 4 was its last; disks beyond 128 GiB need 3 at least (KB305098)."},
    {kWindowsXp, 2, Verdict::Warning,
     "Disks beyond 128 GiB need Service Pack 1 at least (KB303013), many drivers Service Pack 2."},
    {kServer2003, 1, Verdict::Warning, "Drivers of later controllers are made for Service Pack 1."},
};

void service_level(const Facts& f, Findings& out) {
    if (!f.nt) return;
    const auto pack = service_pack(f.machine.os);
    for (const auto& row : kPacks) {
        if (*f.nt != row.version) continue;
        if (!pack && f.machine.os.service_level.empty())
            return out.not_checked(f.machine.os.name, "Its service pack is not known.",
                                   f.to_know("", "Win32_OperatingSystem"));
        if (pack.value_or(0) >= row.least)
            return out.ok(f.machine.os.name + ", " + f.machine.os.service_level, "It is recent enough.");
        const auto to_do =
            fmt::format("Install Service Pack {} on the source, and take Win32_OperatingSystem again.", row.least);
        return row.verdict == Verdict::Error ? out.error(f.machine.os.name, std::string(row.says), to_do)
                                             : out.warn(f.machine.os.name, std::string(row.says), to_do);
    }
}

// A HAL as the repair will find it, with the kernel that goes with it: told by the hardware ID alone.
patches::InstalledSystem hal_with_kernel(const Facts& f) {
    const auto& os = f.machine.os;
    const auto* row = patches::hal_of_hardware_id(os.hal);
    auto file = [](std::string_view name, std::string_view original) {
        return patches::InstalledFile{
            std::string(name),
            patches::PeVersion{.machine = {}, .version = {}, .language = 0, .original_name = std::string(original)}};
    };
    const auto& kernel = patches::kernel_for(patches::kKernelFile, row ? row->mp : os.multiprocessor.value_or(false));
    return {.major = f.nt->major,
            .minor = f.nt->minor,
            .x86 = os.architecture != "x86_64" && os.architecture != "amd64",
            .files = {file(patches::kHalFile, row ? row->file : ""), file(patches::kKernelFile, kernel.file)},
            .switched_hal = {},
            .switched_kernel = {},
            .hardware_id = os.hal};
}

// From ACPI to none or back.
bool changes_family(const patches::HalDecision& d) {
    return d.from != patches::HalKind::Other && patches::row_of(d.from).acpi != patches::row_of(d.to).acpi;
}

std::string hal_advice(const patches::HalDecision& d) {
    if (changes_family(d)) return "Leave out --fixhal: a HAL that runs on the VM stays.";
    if (!d.files.empty()) return "Nothing, if the files for it are in the patch library (rule patch-files).";
    return patches::row_of(d.to).acpi
               ? "Nothing, if one processor is enough."
               : "Nothing; --fixhal acpi gives it ACPI, at the risk that docs/windows.md tells of.";
}

constexpr std::string_view kCopies =
    "Copy hal.dll, ntoskrnl.exe and ntkrnlpa.exe of the source's system32, and what boot.ini's /HAL= and /KERNEL= "
    "name, and import them with the WMI files (docs/windows.md, \"What to take from the source\").";

// What the repair will do with it is the repair's own decision, asked beforehand.
void hal(const Facts& f, Findings& out) {
    if (!f.nt || *f.nt >= kVista) return;
    const auto& id = f.machine.os.hal;
    if (id.empty()) return out.not_checked("HAL", "Which one is in use is not known.", std::string(kCopies));
    const auto fix = f.switches.fix_hal.value_or(patches::FixHal::Auto);
    const patches::TargetMachine target{.processors =
                                            std::clamp(f.machine.system.processors.threads, 1u, kMaxProcessors)};
    const auto system = hal_with_kernel(f);
    const auto decision = patches::decide_hal(system, target, fix);
    if (!decision) return;  // of --fixhal, which asks for what there is not
    const auto what = "HAL " + id;
    const bool acpi = !system.x86 || patches::row_of(decision->to).acpi, stays = decision->files.empty();
    if (acpi && stays && decision->warnings.empty())
        return out.ok(what, fmt::format("The VM has ACPI; it stays: {}.", decision->why));
    auto found = fmt::format("{}: {}.", stays ? "It stays" : "It is exchanged", decision->why);
    for (const auto& warning : decision->warnings) found += " " + warning + (warning.ends_with('.') ? "" : ".");
    if (!acpi) found += " Without ACPI the VM does not switch itself off.";
    if (fix == patches::FixHal::None)
        if (const auto usual = patches::decide_hal(system, target, patches::FixHal::Auto);
            usual && !usual->files.empty())
            return out.warn(what, found, "Leave out --fixhal none.");
    if (changes_family(*decision)) return out.warn(what, found, hal_advice(*decision));
    out.note(what, found, hal_advice(*decision));
}

void one_processor(const Facts& f, Findings& out) {
    if (f.nt && *f.nt < kVista && f.machine.os.multiprocessor == false && f.machine.system.processors.threads > 1)
        out.note("kernel", "Its kernel is for one processor: the others of the VM are not used.",
                 "Set processors=\"1\" in NAME_internalState.xml.");
}

void fix_hal(const Facts& f, Findings& out) {
    if (f.around.patch_files && !f.around.patch_files->refused.empty())
        out.error(fmt::format("--fixhal {}", patches::name_of(f.switches.fix_hal.value_or(patches::FixHal::Auto))),
                  f.around.patch_files->refused + ".",
                  "Leave --fixhal out: a HAL that runs on the VM stays (docs/windows.md, \"HAL and kernel\").");
}

constexpr std::string_view kSystemType = "Import Win32_ComputerSystem (SystemType) or Win32_Processor with the rest.";

void patch_files(const Facts& f, Findings& out) {
    if (!f.nt || *f.nt >= kVista) return;
    const auto to_do = std::string(f.machine.os.architecture.empty() ? kSystemType : kCopies);
    if (!f.around.patch_files)
        return out.not_checked("patch library", "Which HAL and kernel the source has is not known.", to_do);
    const auto& files = *f.around.patch_files;
    if (!files.refused.empty()) return;  // rule fixhal
    const auto library = f.switches.patch_directory.empty() ? "" : " --hwpatchdir " + f.switches.patch_directory;
    for (const auto& file : files.missing)
        out.error("patch file " + file, "It is not in the patch library, and the repair needs this very version.",
                  fmt::format("vmpatch --s PATH{}, with PATH an installation CD, a service pack or the source's Driver "
                              "Cache.",
                              library));
    if (!files.unknown.empty())
        out.not_checked("patch library", fmt::format("Not known: {}.", join(files.unknown, "; ")), to_do);
    else if (files.wanted == 0)
        out.ok("patch library", fmt::format("The repair takes nothing from it: {}.", files.why));
    else if (files.missing.empty())
        out.ok("patch library", files.wanted == 1
                                    ? "The file that the repair installs is there."
                                    : fmt::format("All {} files that the repair installs are there.", files.wanted));
}

// The files were looked for on this machine; the deployment's repair runs on another and asks the server for them.
void patch_library(const Facts& f, Findings& out) {
    if (!f.around.patch_files || f.around.patch_files->wanted == 0) return;
    const auto& given = f.switches.patch_directory;
    const auto what = "patch library " + (given.empty() ? std::string(patches::kDefaultLibrary) : given);
    constexpr auto* kFound =
        "Looked into on this machine. The deployment takes its files from Patches of the server's state directory; "
        "nothing brings them there.";
    if (given.empty()) return out.note(what, kFound, "Nothing, if the server runs here with its usual directory.");
    out.warn(what, kFound,
             fmt::format("Copy {}/Source into Patches of the server's state directory, or fill that one by vmpatch.",
                         given));
}

// This Windows has no driver for the VM's controller: whether the folders of --hwdriverdir have one.
void by_drop_in(const Facts& f, Findings& out, const std::string& what, const std::string& lacks,
                std::string_view otherwise) {
    const auto& drivers = f.around.drop_ins;
    if (drivers && !drivers->storage.empty())
        return out.ok(what, fmt::format("{} The repair adds the one of {}.", lacks, drivers->storage));
    if (!drivers)
        return out.error(
            what, lacks,
            fmt::format("Give the folder with one by --hwdriverdir (docs/windows.md), or take {}.", otherwise));
    constexpr std::size_t kShown = 4;
    auto why = drivers->why_not;
    if (why.size() > kShown) why.resize(kShown), why.emplace_back("…");
    out.error(
        what,
        fmt::format("{} Nor has --hwdriverdir one for this Windows and machine{}{}.", lacks, why.empty() ? "" : ": ",
                    join(why, "; ")),
        fmt::format("Name the folder of this Windows and machine, as in viostor/2k19/amd64, or take {}.", otherwise));
}

// Windows 2000 to 2003 have sym_hi on their CD, and in system32\drivers only where such a card was: the registry's row,
// which every one has, says nothing of the file.
void lsi_driver(const Facts& f, Findings& out, const std::string& what) {
    constexpr std::string_view kFile = "system32\\drivers\\sym_hi.sys";
    const auto& drop_ins = f.around.drop_ins;
    if (drop_ins && !drop_ins->storage.empty())
        return out.ok(what, fmt::format("The repair adds the driver of {}.", drop_ins->storage));
    if (const auto* d = f.driver("sym_hi"); d && d->state == "running")
        return out.ok(what, "Its driver, sym_hi, is in use on the source.");
    for (const auto& file : f.machine.os.system_files)
        if (to_lower(file.path).ends_with(kFile)) return out.ok(what, fmt::format("The source has {}.", kFile));
    auto found = fmt::format(
        "The repair needs {} for it and refuses without, when all is copied; whether the source has it is not known.",
        kFile);
    if (drop_ins) found += " --hwdriverdir has none for this Windows and machine.";
    out.warn(
        what, found,
        "Look into system32\\drivers of the source for sym_hi.sys. If it is not there, expand it from Driver "
        "Cache\\i386\\driver.cab (docs/windows.md, \"What to take from the source\"), give the folder with a driver "
        "by --hwdriverdir, or take --targetcontroller ide where the disks fit.");
}

void controller_driver(const Facts& f, Findings& out) {
    if (!f.windows) return;
    auto what = fmt::format("controller {}", name_of(f.controller));
    if (f.nt == kNt4 && f.controller != Controller::Ide)
        return out.error(what, "Of the VM's controllers Windows NT 4.0 has a driver for IDE alone.",
                         "Take --targetcontroller ide, and leave larger disks out or make them smaller.");
    switch (f.controller) {
        case Controller::Ide: return out.ok(what, "Every Windows has a driver for it.");
        case Controller::Virtio:
            return by_drop_in(f, out, what, "No Windows has virtio drivers of its own.", "--targetcontroller auto");
        case Controller::Sata:
            if (f.nt && *f.nt < kVista)
                return by_drop_in(f, out, what, "Windows before Vista has no AHCI driver of its own.",
                                  "--targetcontroller ide or scsi");
            return out.ok(what, "Windows has a driver for it since Vista.");
        case Controller::Scsi:
            if (f.nt && *f.nt >= kVista)
                return by_drop_in(f, out, what, "Windows since Vista has no driver for the LSI 53C895A.",
                                  "--targetcontroller auto, ide or sata");
            return lsi_driver(f, out, what);
    }
}

void network_driver(const Facts& f, Findings& out) {
    if (!f.nt || *f.nt >= kVista) return;
    if (f.around.drop_ins && !f.around.drop_ins->adapter.empty())
        return out.ok("adapter e1000", fmt::format("The repair adds the driver of {}.", f.around.drop_ins->adapter));
    out.warn("adapter e1000",
             "Windows before Vista may have no driver of its own for the VM's adapter (Intel 82540EM).",
             "Give the folder with Intel's driver by --hwdriverdir (docs/windows.md), or install it by hand at the "
             "first logon.");
}

void licence(const Facts& f, Findings& out) {
    if (!f.windows) return;
    const auto& os = f.machine.os;
    switch (os.licence) {
        case LicenceChannel::Unknown: {
            const auto& tables = f.machine.system.acpi_tables;
            for (std::string_view table : {"SLIC", "MSDM"})
                if (std::find(tables.begin(), tables.end(), table) != tables.end())
                    return out.warn(
                        os.name,
                        fmt::format("The source's firmware has a Windows licence (table {}): if it is the one in use, "
                                    "it stays behind.",
                                    table),
                        "Have a volume or retail key at hand; ask whether the OEM licence may be moved.");
            return out.not_checked(os.name, "How it was licensed is not known.",
                                   f.nt && *f.nt < kVista
                                       ? f.to_know("", "Win32_OperatingSystem (its SerialNumber is the product ID)")
                                       : f.to_know("", "SoftwareLicensingProduct and SoftwareLicensingService") +
                                             " slmgr /dli shows it too.");
        }
        case LicenceChannel::Oem:
            return out.warn(os.name, "An OEM licence, bound to the machine it came with: " + os.licence_evidence + ".",
                            "Have a volume or retail key at hand: it asks for activation at the first boot.");
        case LicenceChannel::Retail:
            return out.note(os.name, "A retail licence: so much new hardware asks for activation again.",
                            "Have the key and the phone number at hand.");
        case LicenceChannel::Evaluation:
            return out.warn(os.name, "An evaluation: it may have expired by the time of the first boot.",
                            "Look at slmgr /dlv on the source.");
        case LicenceChannel::Volume: return out.ok(os.name, "A volume licence.");
    }
}

void domain_controller(const Facts& f, Findings& out) {
    bool ntds = f.machine.os.role == "domain-controller";
    for (const auto& s : f.machine.services) ntds = ntds || iequals(s.name, "NTDS");
    if (ntds)
        out.warn("domain controller",
                 "A copy of a domain controller that falls behind the other ones is cut off by them (USN rollback).",
                 "Capture it while it is off, never start the source again after the VM; or install a new controller "
                 "and demote this one.");
}

void processor_driver(const Facts& f, Findings& out) {
    for (std::string_view name : {"intelppm", "p3", "amdk7", "amdk8", "crusoe"})
        if (const auto* d = f.driver(name); d && f.nt && *f.nt < kVista && d->start != "disabled")
            out.ok("driver " + d->name,
                   "A processor's power driver, which stops on another processor: the repair switches it off.");
}

void encryption_software(const Facts& f, Findings& out) {
    static constexpr std::string_view kDrivers[] = {"PGPwded",   "SafeBoot",  "MfeEpePc", "MfeEEPC",
                                                    "truecrypt", "veracrypt", "eecrypt",  "prot_2k",
                                                    "DLPCRYPT",  "bcbtlog",   "SGNfilter"};
    for (auto name : kDrivers)
        if (const auto* d = f.driver(name); d && (d->start == "boot" || d->start == "system"))
            out.error("driver " + d->name, "Software that encrypts whole disks: the repair cannot look into them.",
                      "Decrypt the disks and remove the software on the source, then take the dumps again.");
}

void raid_tools(const Facts& f, Findings& out) {
    static constexpr std::string_view kFilters[] = {"cpqdfw",    "hpdskflt", "iaStorF", "snapman", "tdrpman",
                                                    "timounter", "vsflt*",   "symsnap", "PnpMem*", "ctxusbm"};
    for (const auto& d : f.machine.drivers)
        for (auto name : kFilters)
            if (f.windows && name_matches(name, d.name) && d.start != "disabled" && d.state != "stopped")
                out.note("driver " + d.name, "A filter over disks or volumes that came with a vendor's tools.",
                         "List it in the P2V drivers file (--servicedriverstate) if the first boot stops at it.");
}

void desktop_limit(const Facts& f, Findings& out) {
    const auto n = std::clamp(f.machine.system.processors.threads, 1u, kMaxProcessors);
    // Windows 2000 counts logical processors: Professional two, Server four.
    if (f.nt && *f.nt == kWindows2000 && n > (f.machine.os.role == "workstation" ? 2u : 4u) &&
        !f.machine.os.role.empty())
        out.note(fmt::format("processors: {}", n), "Windows 2000 uses two of them as Professional, four as Server.",
                 "Set processors in NAME_internalState.xml accordingly.");
}

const Rule kRules[] = {
    {"service-level", Group::System, Verdict::Error, "Service pack",
     "System files are replaced by those of the same level only.", service_level},
    {"windows-hal", Group::System, Verdict::Warning, "HAL",
     "A HAL for another kind of machine hangs before anything is on the screen.", hal},
    {"windows-processors", Group::Processor, Verdict::Note, "A kernel for one processor",
     "What is given to it and not used, others lack.", one_processor},
    {"windows-2000-processors", Group::Processor, Verdict::Note, "Processors that Windows 2000 counts",
     "The licence says how many processors are used.", desktop_limit},
    {"fixhal", Group::System, Verdict::Error, "What --fixhal asks for",
     "The repair refuses what this Windows does not have, when all its disks are copied.", fix_hal},
    {"patch-files", Group::System, Verdict::Error, "Files for another HAL and kernel",
     "A HAL and a kernel of different versions stop with 0x79 (mismatched HAL).", patch_files, true},
    {"patch-library", Group::System, Verdict::Warning, "Where the patch library has to be",
     "A library that the server has not is none: the deployment's repair fails, or leaves a HAL that does not run.",
     patch_library},
    {"windows-controller", Group::System, Verdict::Error, "A driver for the VM's controller",
     "Without it Windows stops with 0x7B (inaccessible boot device).", controller_driver, true},
    {"windows-adapter", Group::Network, Verdict::Warning, "A driver for the VM's adapter",
     "Without it the machine is up and cannot be reached.", network_driver},
    {"windows-licence", Group::System, Verdict::Warning, "Licence and activation",
     "Windows that wants to be activated may not let anybody log on.", licence},
    {"domain-controller", Group::System, Verdict::Warning, "Domain controllers",
     "The directory of a whole domain depends on it.", domain_controller},
    {"processor-driver", Group::Services, Verdict::Ok, "Power drivers of processors",
     "On another maker's processor intelppm stops with 0x7E (KB953356).", processor_driver},
    {"encryption-software", Group::Services, Verdict::Error, "Software that encrypts whole disks",
     "Its boot code and its driver know the disk by sectors and wait for hardware that is gone.", encryption_software},
    {"filter-drivers", Group::Services, Verdict::Note, "Filter drivers of vendors",
     "A filter whose device is gone can keep a disk from coming up.", raid_tools},
};

}  // namespace

std::span<const Rule> windows_rules() { return kRules; }

}  // namespace slipway::vmscript
