// SPDX-License-Identifier: GPL-3.0-or-later
// Which partitions a boot store names that are called otherwise now. Pure.
#pragma once

#include <optional>
#include <vector>

#include "guest-fixup/windows/bcd.hpp"
#include "guest-fixup/windows/disk_place.hpp"

namespace slipway::fixup::windows {

// nullopt: the disk has no table, or no signature.
std::optional<PartitionIdentity> identity_of(const DiskPlace& place, const disks::Partition& partition);

// The default entry's Windows is on the partition that is repaired, the boot manager on the one that is started: what
// they name, when this disk has no such partition, has become these. Partitions that are here stay; those of an MBR
// disk with another signature follow it.
std::vector<Relocation> boot_moves(const BcdStore& store, const DiskPlace& place);

}  // namespace slipway::fixup::windows
