// SPDX-License-Identifier: GPL-3.0-or-later
// What names and numbers of the Linux device model mean. Pure: the probe and the importers share it.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gatherhw/model.hpp"

namespace slipway::gatherhw {

bool is_pci_slot(std::string_view part);  // "0000:00:1f.2"
std::string last_pci_slot(std::string_view device_path);
ControllerKind controller_kind_of_class(const PciId& pci);
// device_path: in sysfs, "/devices/…/host0/target0:0:0/0:0:0:0/block/sda"; driver: of the host adapter.
BusKind bus_of_path(std::string_view device_path, std::string_view driver, bool is_sata);
// Fibre Channel and iSCSI are, parallel SCSI and SAS may be (nothing then), the rest is not.
std::optional<bool> is_san(BusKind bus);
// One name for what udev (blkid) and our own maps call differently.
std::string filesystem_name(std::string name);
// "md", "lvm", …: what a disk with that on it is a member of; empty for a file system of its own.
std::string_view pool_of_filesystem(std::string_view filesystem);
std::string_view pool_of_partition_type(std::string_view type);
// "luks", "bitlocker": empty when the content is not encrypted as a whole.
std::string_view encryption_of_filesystem(std::string_view filesystem);
void add_member(Disk& disk, std::string_view pool);  // sorted, once

}  // namespace slipway::gatherhw
