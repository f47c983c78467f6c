// SPDX-License-Identifier: GPL-3.0-or-later
// Adapters, addresses, and how the source boots from the network.
#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "vmscript/validation/rule.hpp"

namespace slipway::vmscript {

using namespace gatherhw;

namespace {

std::size_t wired(const Facts& f) {
    return static_cast<std::size_t>(std::count_if(f.machine.network.begin(), f.machine.network.end(),
                                                  [](const auto& a) { return a.kind == AdapterKind::Physical; }));
}

void adapter_count(const Facts& f, Findings& out) {
    auto what = fmt::format("wired adapters: {}", wired(f));
    static constexpr std::string_view kAdd =
        "say it by gatherhw-import --add: <adapter name=\"…\" mac=\"…\"/> (docs/validation.md, \"Facts that a dump "
        "lacks\").";
    const auto say_it = f.windows
                            ? fmt::format("Import Win32_NetworkAdapter with the rest, or {}", kAdd)
                            : fmt::format("Run gatherhw on the running source; of an imported inventory, {}", kAdd);
    if (wired(f) == 0 && f.not_read("network adapters"))
        return out.error("wired adapters",
                         "None is known: the source is recognised by the address of one, and the VM gets it.", say_it);
    if (wired(f) == 0)
        return out.error(what, "The source cannot boot from the network.",
                         f.windows ? "Put in an adapter that boots by PXE, and take Win32_NetworkAdapter again."
                                   : "Put in an adapter that boots by PXE, and run gatherhw again.");
    if (f.nics.empty())
        return out.error(
            what, "The address of none of them is known: the source is recognised by it, and the VM gets it.", say_it);
    for (const auto& a : f.machine.network)
        if (a.kind == AdapterKind::Physical && f.address_of(a).empty())
            out.warn("adapter " + a.name, "Its address is not known: the VM gets no adapter for it.", say_it);
    if (wired(f) > kMaxNics)
        return out.warn(what, fmt::format("The VM has at most {} adapters: the others are left out.", kMaxNics),
                        "Name the one that matters by --adminmac; move addresses of the others.");
    out.ok(what, fmt::format("The VM has at most {}.", kMaxNics));
}

void admin_mac(const Facts& f, Findings& out) {
    if (f.nics.empty() || !f.switches.admin_mac) return;
    if (MacAddress::parse(hardware_mac(*f.nics.front())) != f.switches.admin_mac)
        out.warn(f.switches.admin_mac->text(), "--adminmac is no adapter of the inventory.",
                 "Correct it unless the adapter is new.");
}

void pxe(const Facts& f, Findings& out) {
    if (f.nics.empty()) return;
    const auto& a = *f.nics.front();
    if (f.switches.admin_mac && MacAddress::parse(hardware_mac(a)) != f.switches.admin_mac) return;
    auto what = "adapter " + a.name;
    if (a.pxe_capable == false)
        return out.warn(what, "It may not boot from the network: " + a.pxe_evidence + ".",
                        "Try a network boot of the source before the migration; slipway agent iso makes a CD for "
                        "machines that cannot.");
    if (!a.pxe_capable)
        return out.not_checked(what, "Whether it boots from the network is not known.",
                               "Try it: nothing is changed by a boot into the agent.");
    out.ok(what, "It boots from the network, as far as can be told.");
}

void boot_link(const Facts& f, Findings& out) {
    if (f.nics.empty()) return;
    const auto& a = *f.nics.front();
    if (!a.link)
        out.note("adapter " + a.name, "It had no link when the inventory was taken.",
                 "Plug it in, or name another by --adminmac.");
}

void wireless(const Facts& f, Findings& out) {
    for (const auto& a : f.machine.network)
        if (a.kind == AdapterKind::Wireless)
            out.warn("adapter " + a.name, "Wireless: the VM has no such adapter.",
                     "Move its configuration to a wired one.");
}

void usb_adapter(const Facts& f, Findings& out) {
    for (const auto& a : f.machine.network)
        if (a.kind == AdapterKind::Physical && a.bus == BusKind::Usb)
            out.note("adapter " + a.name, "On USB: the VM gets an adapter of its own with this address.",
                     "Unplug it from the source once the VM is at work, or it has an address of the VM.");
}

void bond(const Facts& f, Findings& out) {
    for (const auto& a : f.machine.network) {
        if (a.kind != AdapterKind::Bond && a.kind != AdapterKind::Team) continue;
        auto what = fmt::format("{} {}", a.kind == AdapterKind::Bond ? "bond" : "team", a.name);
        if (a.mode == "802.3ad" || a.mode == "lacp")
            out.warn(what, "LACP: the VM's adapters are on one virtual network, where nobody answers it.",
                     "Change its mode to active-backup on the source, or take it apart after the first boot.");
        else if (a.mode == "active-backup" || a.mode == "activebackup")
            out.ok(what, "active-backup works in the VM as it is.");
        else
            out.warn(what, "The VM's adapters are on one virtual network; the bond stays configured.",
                     "Make sure that its mode needs nothing of a switch (LACP does).");
    }
}

void windows_team(const Facts& f, Findings& out) {
    static constexpr std::string_view kDrivers[] = {"iANSMiniport", "ANSProtocol", "cpqteam*",      "hpteam*",
                                                    "Blfp",         "basp",        "MsLbfoProvider"};
    for (const auto& d : f.machine.drivers)
        for (auto name : kDrivers)
            if (f.windows && name_matches(name, d.name) && d.start != "disabled" && d.state != "stopped")
                return out.warn(
                    "driver " + d.name, "Adapters are teamed by a vendor's driver, which knows only its own cards.",
                    "Dissolve the team on the source before the capture and give its address to one adapter.");
}

void bridge(const Facts& f, Findings& out) {
    for (const auto& a : f.machine.network)
        if (a.kind == AdapterKind::Bridge && !a.members.empty())
            out.note(
                "bridge " + a.name,
                fmt::format("It joins {}: what hangs on it moves along with its configuration.", join(a.members, ", ")),
                "If machines of others were behind it, the VM's network has to let their addresses through.");
}

void vlan(const Facts& f, Findings& out) {
    for (const auto& a : f.machine.network)
        if (a.kind == AdapterKind::Vlan)
            out.warn("VLAN " + a.name, "The source takes its VLAN apart itself: the VM's network must carry the tags.",
                     "Put the network of the VM on an interface of the VM host that has the trunk (slipway network "
                     "create --interface).");
}

// Before Windows 10 the registry has no address of a card, so the repair tells several by their connections.
bool not_told_apart(const Facts& f, const NetworkAdapter& adapter) {
    auto unnamed = [](const NetworkAdapter* a) { return !names_adapter(a->connection); };
    return f.windows && (!f.nt || *f.nt < kWindows10) && unnamed(&adapter) &&
           std::count_if(f.nics.begin(), f.nics.end(), unnamed) > 1;
}

void address(const Facts& f, Findings& out) {
    for (const auto* a : f.nics) {
        auto what = fmt::format("adapter {} ({})", a->name, hardware_mac(*a));
        if (a->configuration == AddressOrigin::Dhcp && f.switches.dynamic_macs)
            out.warn(what, "DHCP, and the VM has another MAC: it gets another address.",
                     "Change the reservation at the DHCP server, or drop --virtualmacdynamic.");
        else if (a->configuration == AddressOrigin::Dhcp) out.ok(what, "DHCP: the VM asks with the same MAC.");
        else if (a->configuration == AddressOrigin::Static && not_told_apart(f, *a))
            out.warn(what,
                     "A static address, and which of several adapters has it the registry of this Windows tells by the "
                     "connection's name alone, " +
                         (a->connection.empty() ? "which is not known: it may not move along."
                                                : a->connection + ", which the repair does not take."),
                     a->connection.empty()
                         ? f.to_know("", "Win32_NetworkAdapter (NetConnectionID)")
                         : "Rename the connection on the source, to letters, digits, spaces and ()#*._- alone, and "
                           "take Win32_NetworkAdapter again.");
        else if (a->configuration == AddressOrigin::Static)
            out.ok(what, "A static address: it moves along, so source and VM must not run at once on one network.");
        else if (a->link && !a->addresses.empty())
            out.warn(what, "It has an address, but nothing says from where.",
                     "Note how it is configured, to compare after the first boot.");
        else out.ok(what, "No address of it is known.");
    }
}

void left_address(const Facts& f, Findings& out) {
    for (const auto& a : f.machine.network) {
        if (a.kind != AdapterKind::Physical || std::find(f.nics.begin(), f.nics.end(), &a) != f.nics.end()) continue;
        if (!a.addresses.empty() || !a.master.empty())
            out.warn("adapter " + a.name,
                     a.master.empty()        ? "It is left out, and it has an address."
                     : a.master == "unknown" ? "It is left out, and a bond or team joins it."
                                             : "It is left out, and " + a.master + " joins it.",
                     "Move its address to another adapter before the capture.");
    }
}

void iscsi_boot(const Facts& f, Findings& out) {
    for (const auto& a : f.machine.network)
        if (a.iscsi_boot == true)
            out.error("adapter " + a.name,
                      "The firmware booted from an iSCSI disk through it: the VM's firmware does not.",
                      "Copy the LUN to a disk of the source first, or install the system anew on the VM.");
}

void shared_mac(const Facts& f, Findings& out) {
    for (const auto& mac : shared_macs(f.machine))
        out.error("MAC address " + mac, "Two adapters of the source have it: the VM's would have one address.",
                  f.windows ? "Dissolve the team, or take the address that is set out of a configuration; then take "
                              "Win32_NetworkAdapter again."
                            : "Run gatherhw on the running source: behind a bond it alone sees the burnt-in addresses; "
                              "else take the address that is set out of a configuration.");
}

void changed_mac(const Facts& f, Findings& out) {
    for (const auto* a : f.nics)
        if (!a->permanent_mac.empty() && !a->mac.empty() && !iequals(a->mac, a->permanent_mac) && a->master.empty())
            out.note(
                "adapter " + a->name,
                fmt::format("It uses the address {}; the VM's adapter has the burnt-in {}.", a->mac, a->permanent_mac),
                "Nothing: the system sets its own address again, if its configuration does.");
}

void virtual_function(const Facts& f, Findings& out) {
    for (const auto& a : f.machine.network)
        if (a.virtual_function == true)
            out.note("adapter " + a.name, "A part of a card that others share (SR-IOV): the VM gets a plain adapter.",
                     "Expect less speed, and look for settings of its driver.");
}

void rdma(const Facts& f, Findings& out) {
    static constexpr std::string_view kModules[] = {"ib_core", "mlx5_ib", "mlx4_ib", "ib_ipoib",
                                                    "hfi1",    "irdma",   "rdma_rxe"};
    for (const auto& p : f.machine.pci)
        if (p.id.class_code >> 8 == 0x0207 || p.id.class_code >> 8 == 0x0c06)
            return out.warn(p.name.empty() ? "InfiniBand adapter " + p.id.slot : p.name, "The VM has no InfiniBand.",
                            "Move what uses it to Ethernet before the move.");
    for (auto name : kModules)
        if (const auto* d = f.driver(name); d && d->references > 0)
            return out.note("module " + d->name, "Something uses RDMA; the VM's adapter has none.",
                            "Look what uses it (rdma, NFS over RDMA, storage).");
}

void mtu(const Facts& f, Findings& out) {
    for (const auto* a : f.nics)
        if (a->mtu > 1500)
            out.note("adapter " + a->name,
                     fmt::format("Packets of {} bytes: the VM host's network must carry them.", a->mtu),
                     "Set the same size on the bridge and interface of the VM host, or lower it on the source.");
}

void speed(const Facts& f, Findings& out) {
    constexpr std::uint32_t kFast = 10000;
    for (const auto* a : f.nics)
        if (a->link && a->speed_mbit >= kFast)
            return out.note(
                "adapter " + a->name,
                fmt::format("{} Gbit/s; the VM's adapter is an emulated one of 1 Gbit/s.", a->speed_mbit / 1000),
                "Measure whether the load needs more; virtio (model=\"virtio\" in NAME_internalState.xml) is faster.");
}

const Rule kRules[] = {
    {"adapter-count", Group::Network, Verdict::Error, "Wired adapters",
     "The source is captured over the network, and each of its adapters becomes one of the VM.", adapter_count},
    {"admin-mac", Group::Network, Verdict::Warning, "The address given by --adminmac",
     "The source is known by it when it boots.", admin_mac},
    {"network-boot", Group::Network, Verdict::Warning, "Booting from the network", "The agent comes by network.", pxe},
    {"boot-link", Group::Network, Verdict::Note, "A link of the adapter that boots",
     "Without a cable nothing boots by it.", boot_link},
    {"wireless", Group::Network, Verdict::Warning, "Wireless adapters",
     "Addresses and services on it are gone after the move.", wireless},
    {"usb-adapter", Group::Network, Verdict::Note, "Adapters on USB",
     "Two machines with one address disturb each other.", usb_adapter},
    {"bond", Group::Network, Verdict::Warning, "Bonds and teams", "A bond that waits for the switch has no link.",
     bond},
    {"windows-team", Group::Network, Verdict::Warning, "Teams of a vendor's driver",
     "In the VM the team has no members, and the address is on it.", windows_team},
    {"bridge", Group::Network, Verdict::Note, "Bridges", "Machines behind it lose the network with it.", bridge},
    {"vlan", Group::Network, Verdict::Warning, "VLANs", "Tagged packets that nobody carries are lost without a word.",
     vlan},
    {"address", Group::Network, Verdict::Warning, "Where addresses come from",
     "Clients look for the machine at its old address.", address},
    {"address-left-out", Group::Network, Verdict::Warning, "Addresses of adapters that are left out",
     "They are configured on an adapter that is not there.", left_address},
    {"iscsi-boot", Group::Network, Verdict::Error, "Booting from iSCSI", "The disk that it starts from is elsewhere.",
     iscsi_boot},
    {"shared-mac", Group::Network, Verdict::Error, "Adapters with one address",
     "A switch sends packets to one of them.", shared_mac},
    {"changed-mac", Group::Network, Verdict::Note, "Addresses set by the system",
     "Reservations and licences may know the one or the other.", changed_mac},
    {"sr-iov", Group::Network, Verdict::Note, "Virtual functions", "Drivers for it do not fit the VM's adapter.",
     virtual_function},
    {"rdma", Group::Network, Verdict::Warning, "InfiniBand and RDMA",
     "Storage or a cluster that uses it has no other way.", rdma},
    {"mtu", Group::Network, Verdict::Note, "Large packets",
     "Large packets get lost where small ones pass: connections hang.", mtu},
    {"adapter-speed", Group::Network, Verdict::Note, "Fast adapters",
     "What filled a fast adapter does not fit through a slow one.", speed},
};

}  // namespace

std::span<const Rule> network_rules() { return kRules; }

}  // namespace slipway::vmscript
