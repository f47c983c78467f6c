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
    // That the firmware starts: the active one, or the EFI system partition; 0: none, or it is on another disk.
    unsigned boot_partition = 0;
    // Signatures of all given disks in the order in which the firmware counts them: the one that starts Windows, then
    // the others as they were given. And which of them this one is.
    std::vector<std::uint32_t> signatures{0};
    unsigned number = 0;

    const disks::Partition* partition(unsigned index) const {
        for (const auto& p : layout.partitions)
            if (p.index == index && index != 0) return &p;
        return nullptr;
    }
    // As Windows counts: primary partitions of a table by their places in it, then logical ones. 0: the disk has none.
    unsigned number_of(unsigned index) const {
        unsigned before = 0;
        for (const auto* list : {&layout.partitions, &layout.refused})
            for (const auto& p : *list) before += p.index < index ? 1 : 0;
        return partition(index) ? before + 1 : 0;
    }
};

}  // namespace slipway::fixup::windows
