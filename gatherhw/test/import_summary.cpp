// SPDX-License-Identifier: GPL-3.0-or-later
#include "gatherhw/test/import_summary.hpp"

#include <algorithm>
#include <map>

#include <fmt/format.h>

#include "lib/base/strings.hpp"

namespace slipway::gatherhw {

namespace {

std::string pci_text(const std::optional<PciId>& pci) {
    return pci ? fmt::format(" {:04x}:{:04x} class {:06x}", pci->vendor, pci->device, pci->class_code) : "";
}

void machine(const Inventory& i, std::string& out) {
    const auto& s = i.system;
    const auto& p = s.processors;
    out += fmt::format("system: {} | {} | board {} | chassis {} | BIOS {} {}\n", s.manufacturer, s.model, s.board,
                       s.chassis, s.bios_vendor, s.bios_version);
    out += fmt::format("hypervisor: '{}', memory {}, limit {}, modules {}\n", s.hypervisor, human_bytes(s.memory_bytes),
                       human_bytes(s.memory_limit_bytes), s.memory_modules.size());
    std::map<std::string, int> kinds;
    for (const auto& m : s.memory_modules) ++kinds[fmt::format("{} {} {} MT/s", human_bytes(m.size), m.type, m.mhz)];
    for (const auto& [kind, count] : kinds) out += fmt::format("  {} x {}\n", count, kind);
    out +=
        fmt::format("processors: {} | {} | {} sockets {} cores {} threads, {} MHz, 64 bits: {}, flags {}, '{}'\n",
                    p.vendor, p.model, p.sockets, p.cores, p.threads, p.mhz, p.is_64bit, p.flags.size(), p.signature);
    const auto& os = i.os;
    out += fmt::format(
        "os: {} | {} | {} | {} | build {} | kernel {} | {} | {} | role {} | licence {} | multiprocessor {} | pae {}\n",
        os.family, os.name, os.version, os.service_level, os.build, os.kernel, os.architecture, os.language, os.role,
        name_of(os.licence), os.multiprocessor ? std::to_string(*os.multiprocessor) : "?",
        os.pae ? std::to_string(*os.pae) : "?");
}

void storage(const Inventory& i, std::string& out) {
    for (const auto& c : i.controllers)
        out += fmt::format("controller {}: {} {}{}\n", c.id, name_of(c.kind), c.driver, pci_text(c.pci));
    for (const auto& d : i.disks) {
        out += fmt::format(
            "disk {}: {} {} | {} | {}/{} | {} on '{}' | table {}, {} partitions | members [{}] | health {}{}{}{}\n",
            d.name, d.vendor, d.model, d.size, d.logical_sector, d.physical_sector, name_of(d.bus), d.controller,
            name_of(d.table), d.partitions.size(), join(d.member_of, " "), name_of(d.health),
            d.removable ? " removable" : "", d.rotational ? " rotational" : "",
            d.geometry ? fmt::format(" {}/{}/{}", d.geometry->cylinders, d.geometry->heads, d.geometry->sectors) : "");
        for (const auto& p : d.partitions)
            out += fmt::format("  {} {} +{} {}{}\n", p.name, p.offset, p.length, p.type, p.active ? " active" : "");
    }
    for (const auto& v : i.volumes)
        out += fmt::format("volume {}: {} {} on [{}] {} {} at [{}] state {} encryption '{}'\n",
                           v.volume_id.empty() || v.name != v.volume_id ? v.name : "{…}", name_of(v.kind), v.filesystem,
                           join(v.backing, " "), v.size, v.mounted ? "mounted" : "not mounted",
                           join(v.mount_points, " "), name_of(v.state), v.encryption);
}

void network(const Inventory& i, std::string& out) {
    for (const auto& a : i.network)
        out += fmt::format(
            "network {}: {} {}{} | {} | {} Mbit/s link {} | MAC {} | {} addresses, {} | master '{}' members [{}]\n",
            a.name, name_of(a.kind), a.driver, pci_text(a.pci), a.description, a.speed_mbit, a.link,
            a.mac.empty() ? "no" : "yes", a.addresses.size(), name_of(a.configuration), a.master, join(a.members, " "));
}

}  // namespace

std::string summary_of(const Inventory& i) {
    std::string out;
    machine(i, out);
    storage(i, out);
    network(i, out);
    for (const auto& v : i.video) out += fmt::format("video: {} {}{}\n", v.name, v.driver, pci_text(v.pci));
    for (const auto& p : i.ports) out += fmt::format("port: {} {}\n", name_of(p.kind), p.detail);
    for (const auto& o : i.optical) out += fmt::format("optical: {}\n", o.name);
    for (const auto& t : i.tapes) out += fmt::format("tape: {} {} {}\n", t.name, t.vendor, t.model);
    for (const auto& u : i.usb)
        out += fmt::format("usb {}: {:04x}:{:04x} {} {} [{}]\n", u.address, u.vendor, u.product, u.name, u.driver,
                           join(u.classes, " "));
    auto bound = std::count_if(i.pci.begin(), i.pci.end(), [](const PciFunction& f) { return !f.driver.empty(); });
    out += fmt::format("pci: {} functions, {} with a driver; {} aliases\n", i.pci.size(), bound, i.modaliases.size());
    out += fmt::format("services {}, drivers {}, updates {}, system files {}, findings {}\n", i.services.size(),
                       i.drivers.size(), i.os.hotfixes.size(), i.os.system_files.size(), i.log.size());
    for (const auto& u : i.unread) out += fmt::format("unread: {}: {}\n", u.what, u.why);
    return out;
}

}  // namespace slipway::gatherhw
