// SPDX-License-Identifier: GPL-3.0-or-later
// Which operating system it is, and what the repair can do for it. Windows by itself is in rules_windows.cpp.
#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "vmscript/validation/rule.hpp"

namespace slipway::vmscript {

using namespace gatherhw;

namespace {

bool in(std::string_view id, std::initializer_list<std::string_view> list) {
    return std::find(list.begin(), list.end(), id) != list.end();
}

void os(const Facts& f, Findings& out) {
    const auto& os = f.machine.os;
    auto what = os.name.empty() ? os.family + " " + os.id : os.name;
    if (f.windows) {
        if (!f.nt)
            return out.not_checked(what, "Which version of Windows it is is not known.",
                                   f.to_know("", "Win32_OperatingSystem"));
        if (*f.nt < kNt4)
            return out.error(what, "Windows before NT 4.0 is not repaired.", "Install the system anew on the VM.");
        return out.ok(what, "It is captured, deployed and repaired for the VM's hardware.");
    }
    if (!f.is_linux)
        return out.error(what.empty() ? "unknown" : what, "Linux and Windows are repaired, nothing else.",
                         "Install the system anew on the VM, or migrate it with a tool of its maker.");
    if (os.id.empty())
        return out.not_checked(os.name.empty() ? "Linux" : os.name, "Which distribution it is is not known.",
                               "Run gatherhw on the running source.");
    if (in(os.id, {"debian", "ubuntu", "linuxmint", "raspbian", "devuan"}))
        return out.ok(what, "It is captured, deployed and repaired for the VM's hardware.");
    out.warn(what,
             in(os.id, {"rhel", "centos", "rocky", "almalinux", "fedora", "ol", "sles", "sled", "opensuse-leap",
                        "opensuse", "opensuse-tumbleweed", "arch", "alpine"})
                 ? "It is repaired by its own tools; this path is tried less often (docs/compatibility.md)."
                 : "It is not among the systems that the repair was tried on.",
             "Keep the source untouched until the first boot has been proved.");
}

struct ToolRow {
    std::string_view file, name;
};
constexpr ToolRow kTools[] = {{"/etc/initramfs-tools/", "initramfs-tools"}, {"/etc/dracut.conf", "dracut"},
                              {"/etc/mkinitcpio.conf", "mkinitcpio"},       {"/etc/mkinitfs/", "mkinitfs"},
                              {"/etc/sysconfig/kernel", "mkinitrd"},        {"/etc/booster.yaml", "booster"}};

void initramfs(const Facts& f, Findings& out) {
    if (!f.is_linux) return;
    for (const auto& row : kTools)
        if (f.has_file(row.file))
            return out.ok(std::string(row.name), "It is made anew with the drivers of the VM's controller.");
    out.warn("unknown tool",
             "Which program makes its initramfs is not known: the repair looks for one and may find none.",
             fmt::format("Put the driver of '{}' into the initramfs on the source before the capture.",
                         name_of(f.controller)));
}

// "6.1.0-28-amd64" -> 6.1; 0.0 when it does not say.
std::pair<unsigned, unsigned> kernel_version(const std::string& text) {
    auto parts = split(text, '.');
    auto number = [](std::string_view t) {
        return static_cast<unsigned>(parse_u64(t.substr(0, t.find_first_not_of("0123456789"))).value_or(0));
    };
    return {number(parts[0]), parts.size() > 1 ? number(parts[1]) : 0};
}

void kernel(const Facts& f, Findings& out) {
    if (!f.is_linux) return;
    const auto& text = f.machine.os.kernel;
    if (text.empty())
        return out.not_checked("kernel", "Its version is not known.", "Run gatherhw on the running source.");
    const auto version = kernel_version(text);
    if (version < std::pair(2u, 6u))
        return out.error("kernel " + text, "A kernel before 2.6 has no initramfs that the repair could make.",
                         "Install a kernel of 2.6 or newer on the source first.");
    if (version == std::pair(2u, 6u) && f.controller == Controller::Virtio)
        return out.warn("kernel " + text,
                        "virtio came with 2.6.25; whether this kernel has its drivers depends on its maker.",
                        "Give --targetcontroller ide or scsi, or look for virtio_blk in its modules.");
    if (text.find("cloud") != std::string::npos && f.controller != Controller::Virtio)
        return out.warn("kernel " + text, "A kernel for clouds may lack the drivers of real controllers and cards.",
                        "Install the distribution's standard kernel on the source, or give --targetcontroller virtio.");
    if (text.find("xen") != std::string::npos)
        return out.note("kernel " + text, "A kernel for Xen: the repair makes another one the default if there is one.",
                        "Install the distribution's standard kernel on the source.");
    out.ok("kernel " + text, "New enough for the VM's controller.");
}

void boot_proof(const Facts& f, Findings& out) {
    if (!f.is_linux) return;
    if (f.machine.os.init.empty())
        out.not_checked("init", "Which init system it has is not known.", "Run gatherhw on the running source.");
    else if (in(f.machine.os.init, {"systemd", "sysvinit", "openrc", "upstart"}))
        out.ok(f.machine.os.init, "The first boot proves itself by a unit or script of it.");
    else
        out.warn(f.machine.os.init, "The repair has no boot proof for this init system.",
                 "Look at the VM's screen at the first boot; the job waits for a proof that does not come.");
}

void out_of_tree(const Facts& f, Findings& out) {
    static constexpr std::string_view kModules[] = {"nvidia",    "fglrx", "vmmon", "vmnet", "vboxdrv", "wl",
                                                    "veeamsnap", "hpvsa", "hpdsa", "zfs",   "mhvtl"};
    for (auto name : kModules)
        if (const auto* d = f.driver(name); d && f.is_linux)
            out.note("module " + d->name, "A module that does not come with the kernel.",
                     "Make sure that nothing waits for its device; remove its package once the VM is at work.");
}

void licence_server(const Facts& f, Findings& out) {
    static constexpr std::string_view kNames[] = {"lmgrd*",   "lmadmin*", "flexlm*",    "hasplmd*",
                                                  "aksusbd*", "hasplms*", "sntl*keys*", "sentinel*",
                                                  "rlm*",     "wibukey*", "codemeter*"};
    for (const auto& s : f.machine.services)
        for (auto name : kNames)
            if (name_matches(name, s.name) && s.start != "masked" && s.start != "disabled")
                out.warn(
                    "service " + s.name,
                    "A licence server: its licences may be bound to a MAC address, a serial number or a dongle.",
                    "Ask the maker for licences for the VM; without --virtualmacdynamic it keeps the MAC addresses.");
}

void cluster_node(const Facts& f, Findings& out) {
    static constexpr std::string_view kNames[] = {"pacemaker*", "corosync*",  "cman*",     "ClusSvc",
                                                  "o2cb*",      "heartbeat*", "rgmanager*"};
    for (const auto& s : f.machine.services)
        for (auto name : kNames)
            if (name_matches(name, s.name) && s.start != "masked" && s.start != "disabled")
                return out.warn("service " + s.name, "The source is a node of a cluster.",
                                "Take it out of the cluster first, or make sure that fencing does not reach the VM's "
                                "old power switch.");
}

void battery_clock(const Facts& f, Findings& out) {
    if (f.machine.system.clock_is_utc == false)
        out.note(
            "the battery clock", "It runs in local time; the VM's runs in UTC.",
            f.windows
                ? "Look at the time after the first boot; a domain's member takes it from there."
                : "Set it to UTC on the source (hwclock --systohc --utc), or look at the time after the first boot.");
}

const Rule kRules[] = {
    {"os", Group::System, Verdict::Error, "Operating system",
     "A system that is not repaired does not find its disk in the VM.", os},
    {"initramfs", Group::System, Verdict::Warning, "The program that makes the initramfs",
     "The initramfs must hold the driver of the VM's controller, or the root is not found.", initramfs},
    {"kernel", Group::System, Verdict::Error, "Kernel", "It needs drivers for hardware that it has never seen.",
     kernel},
    {"boot-proof", Group::System, Verdict::Warning, "Proof of the first boot",
     "Without a proof the job does not know that the system came up.", boot_proof},
    {"foreign-modules", Group::System, Verdict::Note, "Modules that do not come with the kernel",
     "They were built for hardware that is not there, and some make the next kernel update fail.", out_of_tree},
    {"licence-server", Group::Services, Verdict::Warning, "Licence servers",
     "Licences that are bound to hardware end with it, and what needs them stops.", licence_server},
    {"cluster-node", Group::Services, Verdict::Warning, "Nodes of a cluster",
     "Two machines that believe to be one node ruin what the cluster shares.", cluster_node},
    {"clock", Group::System, Verdict::Note, "The battery clock", "A clock an hour off breaks logins and certificates.",
     battery_clock},
};

}  // namespace

std::span<const Rule> linux_rules() { return kRules; }

}  // namespace slipway::vmscript
