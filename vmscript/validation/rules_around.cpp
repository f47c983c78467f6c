// SPDX-License-Identifier: GPL-3.0-or-later
// The agent's drivers, space, and the other machines: all of it given by switches, nothing is asked of a network here.
#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "vmscript/validation/rule.hpp"

namespace slipway::vmscript {

using namespace gatherhw;

namespace {

constexpr const char* kAskDrivers =
    "slipway-ramdisk drivers --inventory FILE --json >drivers.json, then --agentdrivers drivers.json.";
constexpr const char* kAskDevices = "slipway device list --json >devices.json, then --devicelist devices.json.";

void agent_drivers(const Facts& f, Findings& out, std::string_view kind, const char* what) {
    if (!f.around.agent_drivers)
        return out.not_checked(what, "Whether the agent's kernel has their drivers is not known.", kAskDrivers);
    bool all = true;
    for (const auto& m : f.around.agent_drivers->missing) {
        if (m.kind != kind) continue;
        all = false;
        auto name = m.name.empty() ? m.id : fmt::format("{} ({})", m.name, m.id);
        auto found =
            fmt::format("The agent's kernel {} has no driver for it: {}.", f.around.agent_drivers->kernel, m.why);
        if (m.fatal)
            out.error(name, found,
                      "Put a module into repository/user/PreSystem/modules, or do without it: the server's directory "
                      "PreSystem has a file without-driver for that.");
        else out.note(name, found, "Nothing, if the machine does without it.");
    }
    if (all) out.ok(what, "The agent's kernel has their drivers.");
}

void agent_network(const Facts& f, Findings& out) { agent_drivers(f, out, "network", "network adapters"); }
void agent_storage(const Facts& f, Findings& out) { agent_drivers(f, out, "storage", "disk controllers"); }

void agent_memory(const Facts& f, Findings& out) {
    const auto mib = f.machine.system.memory_bytes >> 20;
    if (mib == 0)
        return out.not_checked("the source's memory", "Its size is not known.",
                               f.to_know("Run gatherhw on the running source.", "Win32_PhysicalMemory"));
    if (mib < kAgentMemoryFloorMib)
        return out.error(fmt::format("{} MiB", mib),
                         fmt::format("The agent needs {} MiB on the source too.", kAgentMemoryFloorMib),
                         "Put its disks into another machine, and capture them there with slipway image capture.");
    out.ok(fmt::format("{} MiB", mib), "Enough for the agent on the source.");
}

// What is to be moved at most, and at least as far as it is known.
struct Amount {
    std::uint64_t whole = 0, used = 0;
    bool known = true;  // used is
};

Amount amount(const Facts& f) {
    Amount a;
    for (const auto* d : f.choice.kept) a.whole += d->size;
    for (const auto* v : f.kept_volumes) {
        if (v->kind != VolumeKind::Partition && v->kind != VolumeKind::Disk) continue;
        // What others lie on is counted by the volume itself, or else whole.
        if (std::find(f.choice.excluded_volumes.begin(), f.choice.excluded_volumes.end(), v->name) !=
            f.choice.excluded_volumes.end())
            continue;
        if (v->filesystem == "swap") continue;
        if (v->used) a.used += *v->used;
        else if (v->size > 0) a.used += v->size, a.known = false;
        else a.known = false;
    }
    return a;
}

void store_space(const Facts& f, Findings& out) {
    const auto a = amount(f);
    if (!f.switches.store_free)
        return out.not_checked("image store", "How much room it has is not known.",
                               "Give --storefree SIZE (df -h of the server's store directory), such as 500G.");
    auto what = fmt::format("image store, {} free", human_bytes(*f.switches.store_free));
    if (*f.switches.store_free >= a.whole) return out.ok(what, "Room for every sector of the disks.");
    if (a.known && *f.switches.store_free >= a.used)
        return out.ok(what, fmt::format("Room for all that is used ({}).", human_bytes(a.used)));
    out.warn(
        what,
        fmt::format("{} are to be captured{}; compression and chunks that are there already may make it less.",
                    human_bytes(a.used), a.known ? "" : " at most"),
        "Make room (slipway image gc), leave volumes out with --excludedrives, or put the store on a larger disk.");
}

void target_space(const Facts& f, Findings& out) {
    const auto a = amount(f);
    if (!f.switches.target_free)
        return out.not_checked(
            "VM host", "How much room it has for virtual disks is not known.",
            "Give --targetfree SIZE (df -h of --virtualdiskpath on the VM host); NAME_CreateVM.sh asks it as well.");
    auto what = fmt::format("VM host, {} free", human_bytes(*f.switches.target_free));
    if (*f.switches.target_free >= a.whole)
        return out.ok(what, fmt::format("Room for all virtual disks ({}).", human_bytes(a.whole)));
    if (!f.switches.dynamic_disks)
        return out.error(what, fmt::format("Fixed-size disks take {}.", human_bytes(a.whole)),
                         "Give --virtualdiskdynamic, leave disks out, or choose another directory.");
    if (a.known && *f.switches.target_free < a.used)
        return out.error(what, fmt::format("{} are used.", human_bytes(a.used)),
                         "Leave volumes out, or choose another directory.");
    out.warn(what, fmt::format("Dynamically expanding disks may grow to {}.", human_bytes(a.whole)),
             "Watch the directory: a VM whose disk cannot grow stops.");
}

void spindle(const Facts& f, Findings& out) {
    const auto &store = f.switches.store_disk, &target = f.switches.target_disk;
    if (store.empty() || target.empty())
        return out.not_checked("disks of image store and VMs", "On which disks they are is not known.",
                               "Give --storedisk HOST:DISK and --targetdisk HOST:DISK (lsblk on each host).");
    if (iequals(store, target))
        return out.warn("disk " + store,
                        "Images and virtual disks are on one disk: each byte is read and written on it in turn.",
                        "Put the virtual disks on another disk.");
    out.ok("disks " + store + " and " + target, "Images and virtual disks are on two disks.");
}

void transfer_time(const Facts& f, Findings& out) {
    if (f.nics.empty() || f.nics.front()->speed_mbit == 0) return;
    const auto a = amount(f);
    if (a.used == 0 || !a.known) return;
    const auto seconds = a.used / (std::uint64_t{f.nics.front()->speed_mbit} * 1000 * 1000 / 8);
    out.ok(fmt::format("{} over {} Mbit/s", human_bytes(a.used), f.nics.front()->speed_mbit),
           fmt::format("The first capture takes at least {}.", human_duration(seconds)));
}

// ---- other machines

bool shares_mac(const KnownDevice& d, const std::vector<std::string>& macs) {
    return std::any_of(d.macs.begin(), d.macs.end(),
                       [&](const auto& m) { return std::find(macs.begin(), macs.end(), m) != macs.end(); });
}

std::vector<std::string> macs_of(const Facts& f) {
    std::vector<std::string> out;
    for (const auto* a : f.nics)
        if (auto mac = f.address_of(*a); !mac.empty()) out.push_back(mac);
    if (f.switches.admin_mac) out.push_back(f.switches.admin_mac->text());
    return out;
}

// Those that --virtualmacdynamic makes; empty without it, when the VM has the source's.
std::vector<std::string> macs_made(const Facts& f) {
    std::vector<std::string> out;
    if (f.switches.dynamic_macs)
        for (const auto& nic : planned_nics(f.machine, f.switches)) out.push_back(nic.new_mac);
    return out;
}

std::string kind_in_words(const KnownDevice& d) {
    if (d.kind == "vmhost") return "A VM host";
    return d.power_driver == "vm" ? "A virtual machine" : "Another device";
}

// The source itself becomes a device by its own addresses: no switch helps while another record has one of them.
void mac_conflict(const Facts& f, Findings& out) {
    if (!f.around.devices)
        return out.not_checked("MAC addresses", "Whether another machine has one of them is not known.", kAskDevices);
    const auto macs = macs_of(f), made = macs_made(f);
    std::size_t records = 0;
    for (const auto& d : *f.around.devices) {
        const bool ours = shares_mac(d, macs), the_vms = shares_mac(d, made);
        records += ours || the_vms ? 1 : 0;
        if (ours && (d.power_driver == "vm" || d.kind == "vmhost" || records > 1))
            out.error("device " + d.name,
                      kind_in_words(d) + " has an address of the source: the source is refused as a device.",
                      "Remove the other machine (slipway vm delete, slipway device delete). --virtualmacdynamic does "
                      "not help: the source keeps its address for the capture.");
        else if (the_vms)
            out.error("device " + d.name, kind_in_words(d) + " has an address that --virtualmacdynamic makes.",
                      "Remove the other machine (slipway vm delete, slipway device delete), or leave out "
                      "--virtualmacdynamic: the VM then has the source's addresses.");
    }
    if (records == 0)
        out.ok("MAC addresses", fmt::format("No other of {} devices has one of them.", f.around.devices->size()));
}

void known_device(const Facts& f, Findings& out) {
    if (!f.around.devices)
        return out.not_checked("the source", "Whether it is a device already is not known.", kAskDevices);
    const auto macs = macs_of(f);
    for (const auto& d : *f.around.devices) {
        if (!shares_mac(d, macs) || d.power_driver == "vm" || d.kind == "vmhost") continue;
        const auto text = fmt::format("The source is the device '{}' already, {}{}.", d.name, d.state,
                                      d.agent_state == "ready" ? ", with an agent that runs" : "");
        if (!f.switches.name.empty() && d.name != f.switches.name)
            return out.warn(
                "device " + d.name, text,
                fmt::format("Give --name {}, or remove the record: two with one address are refused.", d.name));
        if (d.state == "controlled")
            return out.warn("device " + d.name, text,
                            "Make sure that no job works on it (slipway job list); release it, or let NAME_capture.sh "
                            "take it over.");
        return out.note("device " + d.name, text, "Nothing: NAME_capture.sh takes control of it.");
    }
    out.ok("the source", "It is no device yet.");
}

void name_taken(const Facts& f, Findings& out) {
    if (f.switches.name.empty()) return;
    if (!f.around.devices)
        return out.not_checked("name " + f.switches.name, "Whether it is free is not known.", kAskDevices);
    const auto macs = macs_of(f);
    for (const auto& d : *f.around.devices)
        if (d.name == f.switches.name && (!shares_mac(d, macs) || d.power_driver == "vm"))
            return out.error("name " + d.name,
                             d.power_driver == "vm" ? "A virtual machine of an earlier migration has this name."
                                                    : "Another machine has this name.",
                             "Give another --name, or run NAME_CleanupVM.sh of that migration.");
    out.ok("name " + f.switches.name, "It is free, or the source's own.");
}

void vm_host(const Facts& f, Findings& out) {
    if (f.switches.vm_host.empty()) return;
    if (!f.around.devices)
        return out.not_checked("VM host " + f.switches.vm_host, "Whether it is there is not known.", kAskDevices);
    for (const auto& d : *f.around.devices) {
        if (d.name != f.switches.vm_host) continue;
        if (d.kind != "vmhost")
            return out.error("device " + d.name, "It is no VM host.",
                             "Give --hwdestvs the name of one (slipway device list).");
        if (d.state != "controlled" || d.agent_state != "ready")
            return out.warn(
                "VM host " + d.name,
                fmt::format("It is {}, its agent is {}.", d.state, d.agent_state.empty() ? "unknown" : d.agent_state),
                "slipway device take-control " + d.name + ", and look that slipway-agent runs on it.");
        return out.ok("VM host " + d.name, "Under control, with an agent that runs.");
    }
    out.error("VM host " + f.switches.vm_host, "There is no such device.",
              "slipway device add NAME --kind vmhost, and start slipway-agent on it.");
}

const Rule kRules[] = {
    {"agent-network-driver", Group::Agent, Verdict::Error, "Drivers of network adapters under the agent",
     "Without its network the source boots and is never heard of.", agent_network},
    {"agent-storage-driver", Group::Agent, Verdict::Error, "Drivers of disk controllers under the agent",
     "Disks that the agent does not see would be left out without a word.", agent_storage},
    {"agent-memory", Group::Agent, Verdict::Error, "The source's memory under the agent",
     "The agent runs from memory alone.", agent_memory},
    {"store-space", Group::Space, Verdict::Warning, "Room in the image store",
     "A capture that finds no room ends with what it has sent.", store_space},
    {"target-space", Group::Space, Verdict::Error, "Room for the virtual disks",
     "A disk that does not fit is not made.", target_space},
    {"spindle", Group::Space, Verdict::Warning, "Images and virtual disks on one disk",
     "One disk that does both takes several times as long.", spindle},
    {"transfer-time", Group::Space, Verdict::Ok, "Time of the capture", "The source is off for as long.",
     transfer_time},
    {"mac-conflict", Group::Fleet, Verdict::Error, "MAC addresses of other machines",
     "Two machines with one address lose packets to each other.", mac_conflict},
    {"known-device", Group::Fleet, Verdict::Warning, "A source that is a device already",
     "Two jobs on one machine, or two records of it, are refused.", known_device},
    {"name-taken", Group::Fleet, Verdict::Error, "The VM's name", "Device, image and VM go by it.", name_taken},
    {"vm-host", Group::Fleet, Verdict::Error, "The VM host", "The VM is made by the agent that runs there.", vm_host},
};

}  // namespace

std::span<const Rule> around_rules() { return kRules; }

}  // namespace slipway::vmscript
