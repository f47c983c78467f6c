// SPDX-License-Identifier: GPL-3.0-or-later
// Video adapters, ports, USB devices, MODALIAS of every device, loaded kernel modules.
#include <set>

#include <fmt/format.h>

#include "gatherhw/linux/parts.hpp"
#include "lib/base/strings.hpp"

namespace slipway::gatherhw {

namespace {

void probe_video(Tree& tree, Inventory& out) {
    for (const auto& slot : tree.list("/sys/bus/pci/devices")) {
        auto directory = "/sys/bus/pci/devices/" + slot;
        auto pci = pci_at(tree, directory);
        if (!pci || pci->class_code >> 16 != 0x03) continue;
        const char* kind = pci->class_code >> 8 == 0x0300 ? "VGA adapter" : "display controller";
        out.video.push_back({fmt::format("{} {:04x}:{:04x}", kind, pci->vendor, pci->device),
                             tree.link_name(directory + "/driver"), *pci});
    }
}

std::string uart_name(std::uint64_t type) {  // PORT_* of linux/serial_core.h
    switch (type) {
        case 1: return "8250";
        case 2: return "16450";
        case 3: return "16550";
        case 4: return "16550A";
        default: return fmt::format("UART type {}", type);
    }
}

void probe_ports(Tree& tree, Inventory& out) {
    for (const auto& name : tree.list("/sys/class/tty")) {
        auto directory = "/sys/class/tty/" + name;
        auto type = name.starts_with("ttyS") ? tree.number(directory + "/type") : 0;
        if (type == 0) continue;  // the kernel makes names for ports that are not there
        out.ports.push_back({PortKind::Serial, name,
                             fmt::format("{} at {} irq {}", uart_name(type), to_lower(tree.line(directory + "/port")),
                                         tree.line(directory + "/irq"))});
    }
    for (const auto& name : tree.list("/proc/sys/dev/parport"))
        if (name != "default") {
            auto base = words(tree.line("/proc/sys/dev/parport/" + name + "/base-addr"));
            auto address = base.empty() ? 0 : parse_u64(base[0]).value_or(0);
            out.ports.push_back({PortKind::Parallel, name, address ? fmt::format("at 0x{:x}", address) : ""});
        }
    // " 0 [PCH            ]: HDA-Intel - HDA Intel PCH"
    for (const auto& line : tree.lines("/proc/asound/cards")) {
        auto w = words(line);
        auto colon = line.find("]: ");
        if (colon == std::string::npos || w.empty()) continue;
        out.ports.push_back({PortKind::Sound, "card" + w[0], std::string(trim(line.substr(colon + 3)))});
    }
}

void probe_pci(Tree& tree, Inventory& out) {
    for (const auto& slot : tree.list("/sys/bus/pci/devices")) {
        auto directory = "/sys/bus/pci/devices/" + slot;
        auto pci = pci_at(tree, directory);
        if (!pci) continue;
        auto udev = udev_properties(tree, "+pci:" + slot);
        out.pci.push_back({*pci, tree.link_name(directory + "/driver"), udev["ID_VENDOR_FROM_DATABASE"],
                           udev["ID_MODEL_FROM_DATABASE"]});
    }
}

void probe_usb(Tree& tree, Inventory& out) {
    for (const auto& name : tree.list("/sys/bus/usb/devices")) {
        auto directory = "/sys/bus/usb/devices/" + name;
        if (name.starts_with("usb") || !tree.exists(directory + "/idVendor")) continue;
        auto hex = [&](const char* file) {
            return static_cast<std::uint16_t>(parse_number("0x" + tree.line(directory + "/" + file)).value_or(0));
        };
        UsbDevice device{name,
                         hex("idVendor"),
                         hex("idProduct"),
                         tree.line(directory + "/manufacturer"),
                         tree.line(directory + "/product"),
                         "",
                         {}};
        auto add_class = [&](const std::string& code) {
            if (code.size() == 2 && device.classes.size() < 32) device.classes.push_back(to_lower(code));
        };
        add_class(tree.line(directory + "/bDeviceClass"));
        for (const auto& part : tree.list(directory)) {
            if (!part.starts_with(name + ":")) continue;
            add_class(tree.line(directory + "/" + part + "/bInterfaceClass"));
            if (device.driver.empty()) device.driver = tree.link_name(directory + "/" + part + "/driver");
        }
        out.usb.push_back(std::move(device));
    }
}

void probe_modaliases(Tree& tree, Inventory& out) {
    std::set<std::string> all;
    for (const auto& bus : tree.list("/sys/bus"))
        for (const auto& device : tree.list("/sys/bus/" + bus + "/devices"))
            if (auto alias = tree.line("/sys/bus/" + bus + "/devices/" + device + "/modalias"); !alias.empty())
                all.insert(std::move(alias));
    out.modaliases.assign(all.begin(), all.end());
}

// name size references used,by, state address
void probe_modules(Tree& tree, Inventory& out) {
    for (const auto& line : tree.lines("/proc/modules")) {
        auto w = words(line);
        if (w.size() < 4) continue;
        Driver d{.name = w[0],
                 .size = parse_u64(w[1]).value_or(0),
                 .references = static_cast<std::uint32_t>(parse_u64(w[2]).value_or(0))};
        for (auto& user : split(w[3], ','))
            if (!user.empty() && user != "-" && !user.starts_with('[')) d.used_by.push_back(std::move(user));
        d.version = tree.line("/sys/module/" + d.name + "/version");
        out.drivers.push_back(std::move(d));
    }
}

}  // namespace

void probe_devices(Tree& tree, Inventory& out) {
    probe_video(tree, out);
    probe_ports(tree, out);
    probe_pci(tree, out);
    probe_usb(tree, out);
    probe_modaliases(tree, out);
    probe_modules(tree, out);
}

}  // namespace slipway::gatherhw
