// SPDX-License-Identifier: GPL-3.0-or-later
// The parts of the Linux probe by topic. Each fills its lists of the inventory from the tree; what one
// needs of another (disks before volumes) is the order of these lines.
#pragma once

#include "gatherhw/linux/tree.hpp"
#include "gatherhw/model.hpp"
#include "gatherhw/probe.hpp"

namespace slipway::gatherhw {

void probe_system(Tree& tree, const LinuxProbeOptions& options, Inventory& out);   // system, os
void probe_storage(Tree& tree, const LinuxProbeOptions& options, Inventory& out);  // controllers, disks, optical
void probe_volumes(Tree& tree, const LinuxProbeOptions& options, Inventory& out);
void probe_network(Tree& tree, const LinuxProbeOptions& options, Inventory& out);
void probe_devices(Tree& tree, Inventory& out);   // video, ports, usb, modalias, drivers
void probe_software(Tree& tree, Inventory& out);  // services, autorun
void probe_boot(Tree& tree, Inventory& out);
void probe_log(Tree& tree, const LinuxProbeOptions& options, Inventory& out);  // log

// The PCI function at a sysfs device directory; nothing when it is not one.
std::optional<PciId> pci_at(Tree& tree, const std::string& device_directory);
// "E:" properties udev stored: "b8:1", "n2". Empty when udev does not run.
std::map<std::string, std::string> udev_properties(Tree& tree, const std::string& id);

// "\040" for a blank: how the kernel and fstab escape.
std::string unescape(std::string_view text);

// How the machine's configuration files say that an adapter gets its IPv4 address (network_config.cpp).
struct AddressConfiguration {
    AddressOrigin origin = AddressOrigin::Unknown;
    std::string evidence;
};
AddressConfiguration address_configuration(Tree& tree, const std::string& adapter, const std::string& mac, int index);

}  // namespace slipway::gatherhw
