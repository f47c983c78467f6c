// SPDX-License-Identifier: GPL-3.0-or-later
// Where the Windows that is repaired lies: what its registry and boot store call it by.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "lib/base/uuid.hpp"
#include "lib/disks/layout.hpp"

namespace slipway::fixup::windows {

struct DiskPlace {
    disks::DiskLayout layout;     // of the disk with Windows on it
    std::uint64_t disk_size = 0;  // bytes
    unsigned sector_size = 512;
    unsigned windows_partition = 0;  // index in the table; 0: the disk has none
    unsigned boot_partition = 0;     // that the firmware starts: the active one, or the EFI system partition; 0: none

    const disks::Partition* partition(unsigned index) const {
        for (const auto& p : layout.partitions)
            if (p.index == index && index != 0) return &p;
        return nullptr;
    }
};

}  // namespace slipway::fixup::windows
