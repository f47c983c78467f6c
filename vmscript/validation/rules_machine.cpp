// SPDX-License-Identifier: GPL-3.0-or-later
// The inventory itself, processors, memory.
#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "vmscript/validation/rule.hpp"

namespace slipway::vmscript {

using namespace gatherhw;

namespace {

constexpr std::string_view kAgain = "Run gatherhw of this version again on the source, as root.";

void inventory(const Facts& f, Findings& out) {
    for (const auto& w : f.reader_warnings) out.warn("the inventory file", w, std::string(kAgain));
    const bool imported = f.machine.program.find("--import") != std::string::npos;
    for (const auto& u : f.machine.unread)
        out.warn(u.what, (imported ? "Not known: " : "Could not be read: ") + u.why + ".",
                 imported ? "Say it yourself: gatherhw-import --add (docs/validation.md, \"Facts that a dump lacks\"); "
                            "on a Linux source that runs, gatherhw knows it."
                          : std::string(kAgain));
    if (f.machine.unread.empty() && f.reader_warnings.empty())
        out.ok("the inventory file", "Everything could be read.");
}

void added_facts(const Facts& f, Findings& out) {
    std::map<std::string, std::vector<std::string>> by_source;
    for (const auto& a : f.machine.added) by_source[a.source].push_back(a.what);
    for (const auto& [source, what] : by_source)
        out.note(source, fmt::format("Said by a person, not read from the machine: {}.", join(what, ", ")),
                 "Compare it with the machine once more before the capture.");
}

void inventory_age(const Facts& f, Findings& out) {
    constexpr std::uint64_t kDay = 86400, kOld = 30 * kDay;
    // "2026-11-23T20:04:11Z": days since 1970 by the civil calendar (Howard Hinnant's days_from_civil).
    auto number = [&](std::size_t at, std::size_t length) {
        return f.machine.collected.size() >= at + length ? parse_u64(f.machine.collected.substr(at, length))
                                                         : std::nullopt;
    };
    auto year = number(0, 4), month = number(5, 2), day = number(8, 2);
    if (!year || !month || !day || *year < 1970 || *month < 1 || *month > 12 || *day < 1 || *day > 31)
        return out.not_checked(
            "age", "The inventory does not say when it was taken.",
            f.windows ? "Take the dumps again if disks or addresses have changed since." : std::string(kAgain));
    if (!f.around.now) return;
    const auto y = *month <= 2 ? *year - 1 : *year;
    const auto day_of_year = (153 * (*month + (*month > 2 ? std::uint64_t{0} - 3 : 9)) + 2) / 5 + *day - 1;
    const auto days = (y / 400) * 146097 + (y % 400) * 365 + (y % 400) / 4 - (y % 400) / 100 + day_of_year - 719468;
    if (days * kDay + kOld >= *f.around.now)
        return out.ok("age", "Taken on " + f.machine.collected.substr(0, 10) + ".");
    out.note("age",
             fmt::format("Taken on {}, {} days ago.", f.machine.collected.substr(0, 10), *f.around.now / kDay - days),
             f.windows ? "Take the dumps again: disks and addresses may have changed since."
                       : "Run gatherhw again: disks and addresses may have changed since.");
}

void source_is_virtual(const Facts& f, Findings& out) {
    if (!f.machine.system.hypervisor.empty())
        out.note(f.machine.system.hypervisor, "The source is a virtual machine already: it is migrated like any other.",
                 "Leave its old hypervisor's tools installed: the repair keeps them from starting.");
}

// ---- processor

void architecture(const Facts& f, Findings& out) {
    const auto& a = f.machine.os.architecture;
    static constexpr std::string_view kKnown[] = {"x86_64", "amd64", "i686", "i586", "i486", "i386", "x86"};
    if (std::find(std::begin(kKnown), std::end(kKnown), a) != std::end(kKnown))
        return out.ok(a, "The VM's processor runs it.");
    if (a.empty())
        return out.warn("unknown", "It is not known for which processor the system was made.",
                        f.to_know(kAgain, "Win32_ComputerSystem or Win32_Processor"));
    out.error(a, "The VM has an x86 processor (64 bits).", "Migrate only x86 machines.");
}

void processor_count(const Facts& f, Findings& out) {
    const auto n = f.machine.system.processors.threads;
    if (n == 0)
        return out.not_checked("processors", "Their number is not known: the VM gets one.",
                               f.to_know("Run gatherhw on the running source, or set processors in "
                                         "NAME_internalState.xml.",
                                         "Win32_Processor"));
    if (n > kMaxProcessors)
        return out.warn(fmt::format("processors: {}", n),
                        fmt::format("The VM gets {}, the most there are.", kMaxProcessors),
                        "Make sure that the load of the source leaves room for that.");
    out.ok(fmt::format("processors: {}", n), "The VM gets as many.");
}

void processor_host(const Facts& f, Findings& out) {
    const auto n = std::clamp(f.machine.system.processors.threads, 1u, kMaxProcessors);
    if (!f.switches.target_processors)
        return out.not_checked("VM host", "How many processors the VM host has is not known.",
                               "Give --targetprocessors N (nproc on the VM host).");
    if (n > *f.switches.target_processors)
        return out.warn(fmt::format("processors: {}", n),
                        fmt::format("The VM host has {}: the VM's processors would wait for each other.",
                                    *f.switches.target_processors),
                        "Lower processors in NAME_internalState.xml, or choose another VM host.");
    out.ok(fmt::format("processors: {}", n), fmt::format("The VM host has {}.", *f.switches.target_processors));
}

// What a distribution was compiled for: a processor without it stops at the first program.
struct LevelRow {
    std::string_view id;
    unsigned from;
    int level;  // x86-64-v…
};
constexpr LevelRow kLevels[] = {{"rhel", 9, 2}, {"centos", 9, 2}, {"rocky", 9, 2},   {"almalinux", 9, 2},
                                {"ol", 9, 2},   {"rhel", 10, 3},  {"centos", 10, 3}, {"rocky", 10, 3},
                                {"ol", 10, 3},  {"sles", 16, 2}};

void processor_level(const Facts& f, Findings& out) {
    const auto& os = f.machine.os;
    int level = 0;
    const auto major = parse_u64(split(os.version, '.')[0]).value_or(0);
    for (const auto& row : kLevels)
        if (os.id == row.id && major >= row.from) level = std::max(level, row.level);
    if (const auto build = nt_build(os); f.windows && build && *build >= 26100) level = 2;
    if (level == 0) return;
    out.warn(os.name.empty() ? os.id : os.name,
             fmt::format(
                 "It needs a processor of level x86-64-v{}. Under KVM the VM has the host's; emulated (without KVM) it "
                 "has level 1 and the system does not start.",
                 level),
             "Use a VM host with KVM whose processor has that level.");
}

void nested(const Facts& f, Findings& out) {
    static constexpr std::string_view kNames[] = {
        "libvirtd", "libvirtd.service", "virtqemud.service", "vboxdrv",
        "vmms",     "xencommons",       "xen.service",       "vmware.service"};
    for (const auto& s : f.machine.services)
        if (std::find(std::begin(kNames), std::end(kNames), to_lower(s.name)) != std::end(kNames) &&
            s.start != "masked" && s.start != "disabled")
            return out.warn("service " + s.name,
                            "The source runs virtual machines itself; the VM's processor offers none.",
                            "Migrate the machines that run on it one by one, and leave the host where it is.");
}

void agent_processor(const Facts& f, Findings& out) {
    const auto& p = f.machine.system.processors;
    if (p.is_64bit) return out.ok("the source's processor", "It has 64 bits: the Deployment Agent runs on it.");
    if (p.flags.empty() && p.model.empty())
        return out.not_checked("the source's processor", "Whether it has 64 bits is not known.",
                               f.to_know(kAgain, "Win32_Processor"));
    out.error("the source's processor", "It has 32 bits: the Deployment Agent's kernel needs 64.",
              "Put its disks into another machine, or attach them there, and capture them with slipway image capture.");
}

// ---- memory

void memory(const Facts& f, Findings& out) {
    const auto source = f.machine.system.memory_bytes >> 20, wanted = f.vm_memory_mib();
    auto what = fmt::format("{} MiB", wanted);
    if (wanted == 0) return out.error("unknown", "How much memory the VM gets is not known.", "Give --vmmemory.");
    if (wanted < kAgentMemoryFloorMib)
        return out.error(what, fmt::format("The agent needs {} MiB to deploy and repair.", kAgentMemoryFloorMib),
                         "Give --vmmemory with more.");
    if (wanted > kMaxMemoryMib) return out.error(what, "No VM has that much memory.", "Give --vmmemory with less.");
    out.ok(what, f.switches.memory_mib ? fmt::format("As given; the source has {} MiB.", source)
                                       : "As much as the source has.");
}

void memory_reduced(const Facts& f, Findings& out) {
    const auto source = f.machine.system.memory_bytes >> 20;
    if (f.switches.memory_mib && source > 0 && *f.switches.memory_mib * 2 < source)
        out.note(fmt::format("{} MiB", *f.switches.memory_mib),
                 fmt::format("Less than half of what the source has ({} MiB).", source),
                 "Look at what the source really uses before it is moved.");
}

void memory_host(const Facts& f, Findings& out) {
    const auto wanted = f.vm_memory_mib();
    if (wanted == 0) return;
    if (!f.switches.target_memory_mib)
        return out.not_checked("VM host", "How much memory the VM host has free is not known.",
                               "Give --targetmemory MIB (free -m on the VM host); NAME_CreateVM.sh asks it as well.");
    if (wanted > *f.switches.target_memory_mib)
        return out.error(fmt::format("{} MiB", wanted),
                         fmt::format("The VM host has {} MiB free.", *f.switches.target_memory_mib),
                         "Give --vmmemory with less, or choose another VM host.");
    out.ok(fmt::format("{} MiB", wanted), fmt::format("The VM host has {} MiB free.", *f.switches.target_memory_mib));
}

// What the makers ask for, MiB. Microsoft: "System requirements" of each; Red Hat: "Technology capabilities and
// limits".
struct MemoryRow {
    NtVersion version;
    std::uint64_t client, server;
};
constexpr MemoryRow kWindowsMemory[] = {{kNt4, 16, 16},          {kWindows2000, 64, 128}, {kWindowsXp, 64, 128},
                                        {kServer2003, 128, 128}, {kVista, 512, 512},      {{6, 1}, 1024, 512},
                                        {kWindows8, 1024, 512},  {{6, 3}, 1024, 512},     {kWindows10, 1024, 512}};

void memory_of_system(const Facts& f, Findings& out) {
    std::uint64_t least = 0;
    if (f.nt)
        for (const auto& row : kWindowsMemory)
            if (*f.nt >= row.version) least = f.machine.os.role == "workstation" ? row.client : row.server;
    static constexpr std::string_view kRed[] = {"rhel", "rocky", "almalinux", "ol"};
    if (std::find(std::begin(kRed), std::end(kRed), f.machine.os.id) != std::end(kRed) &&
        parse_u64(split(f.machine.os.version, '.')[0]).value_or(0) >= 8)
        least = 1536;
    const auto wanted = f.vm_memory_mib();
    if (least > 0 && wanted > 0 && wanted < least)
        out.warn(fmt::format("{} MiB", wanted), fmt::format("Its maker asks for {} MiB.", least),
                 "Give --vmmemory with more.");
}

void memory_uefi(const Facts& f, Findings& out) {
    constexpr std::uint64_t kEnough = 512;
    const auto wanted = f.vm_memory_mib();
    if (f.uefi && wanted >= kAgentMemoryFloorMib && wanted < kEnough)
        out.warn(fmt::format("{} MiB", wanted),
                 fmt::format("The agent was measured in {} MiB under a BIOS; UEFI firmware takes memory of its own.",
                             kAgentMemoryFloorMib),
                 fmt::format("Give --vmmemory {} at least.", kEnough));
}

void memory_32bit(const Facts& f, Findings& out) {
    constexpr std::uint64_t kReach = 4096;
    const auto& a = f.machine.os.architecture;
    const bool is_32 = !a.empty() && a != "x86_64" && a != "amd64";
    if (is_32 && f.vm_memory_mib() > kReach && f.machine.os.pae != true)
        out.note(
            fmt::format("{} MiB", f.vm_memory_mib()),
            f.machine.os.pae
                ? "A system of 32 bits without PAE uses at most 4096 MiB."
                : "A system of 32 bits uses more than 4096 MiB only with PAE, and it is not known whether it has it.",
            "Give --vmmemory 4096: more may be of no use to it.");
}

void memory_arguments(const Facts& f, Findings& out) {
    const auto bytes = f.vm_memory_mib() << 20;
    for (const auto& word : f.kernel_arguments()) {
        if (word.starts_with("mem=")) {
            out.note(word, "The kernel is told to use that much memory and no more.",
                     "Take it out if it was for the old machine.");
        } else if (word.starts_with("hugepages=")) {
            const auto pages = parse_u64(word.substr(10)).value_or(0);
            if (bytes > 0 && pages > bytes / (2u << 20) / 2)
                out.warn(word, "More than half of the VM's memory would be set aside as huge pages.",
                         "Lower it on the source, or give --vmmemory with more.");
        }
    }
}

const Rule kRules[] = {
    {"inventory", Group::Inventory, Verdict::Warning, "Completeness of the inventory",
     "What could not be read cannot be judged: a problem may be missed.", inventory},
    {"inventory-facts", Group::Inventory, Verdict::Note, "Facts that a person added",
     "A slip in them goes into the plan: nothing can check it.", added_facts},
    {"inventory-age", Group::Inventory, Verdict::Note, "Age of the inventory",
     "The plan is made for the machine as it was then.", inventory_age},
    {"source-is-virtual", Group::Inventory, Verdict::Note, "A source that is a virtual machine",
     "Its tools talk to a hypervisor that is not there any more.", source_is_virtual},
    {"architecture", Group::Processor, Verdict::Error, "Processor architecture of the system",
     "A system made for another processor does not start.", architecture},
    {"processor-count", Group::Processor, Verdict::Warning, "Number of processors",
     "A VM has a limit, and a system that counted on more is slower.", processor_count},
    {"processor-host", Group::Processor, Verdict::Warning, "Processors of the VM host",
     "More virtual processors than real ones make a VM slower, not faster.", processor_host},
    {"processor-level", Group::Processor, Verdict::Warning, "Instructions that the system was compiled for",
     "Without them its first program ends with an illegal instruction, and nothing is on the disk's log.",
     processor_level},
    {"nested-virtualisation", Group::Processor, Verdict::Warning, "A source that runs virtual machines",
     "Its guests would be emulated inside an emulated machine, or not start at all.", nested},
    {"agent-processor", Group::Agent, Verdict::Error, "The source's processor under the agent",
     "The source is captured by the agent, which boots on it.", agent_processor},
    {"memory", Group::Memory, Verdict::Error, "Memory of the VM",
     "Below the floor the deployment fails for lack of memory.", memory},
    {"memory-reduced", Group::Memory, Verdict::Note, "Memory against the source's",
     "A machine that has to swap is slow in a way that looks like a fault of the migration.", memory_reduced},
    {"memory-host", Group::Memory, Verdict::Error, "Memory of the VM host", "A VM that does not fit is not started.",
     memory_host},
    {"memory-system", Group::Memory, Verdict::Warning, "Memory that the system's maker asks for",
     "Below it the system may start and then fail at its work.", memory_of_system},
    {"memory-uefi", Group::Memory, Verdict::Warning, "Memory under UEFI firmware",
     "What the firmware takes is missing to the agent.", memory_uefi},
    {"memory-32bit", Group::Memory, Verdict::Note, "Memory that a 32-bit system reaches",
     "Memory above it is taken from the VM host and used by nobody.", memory_32bit},
    {"memory-arguments", Group::Memory, Verdict::Warning, "Memory set aside on the kernel's command line",
     "It was chosen for the old machine's memory; a smaller one may not start.", memory_arguments},
};

}  // namespace

std::span<const Rule> machine_rules() { return kRules; }

}  // namespace slipway::vmscript
