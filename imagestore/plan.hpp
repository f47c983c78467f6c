// SPDX-License-Identifier: GPL-3.0-or-later
// What of a disk is worth reading: its layout, its volumes, and their used blocks, as one list of
// extents. Bytes that no volume claims (boot code, the gap before the first partition, EBRs, both
// GPT copies) are always taken.
#pragma once

#include <string>
#include <vector>

#include "imagestore/manifest.hpp"
#include "lib/disks/layout.hpp"
#include "lib/disks/used_map.hpp"

namespace slipway::imagestore {

struct DiskPlan {
    disks::DiskLayout layout;
    std::vector<VolumeInfo> volumes;  // by offset
    disks::ExtentList used;           // of the whole disk
    std::vector<std::string> warnings;
};

struct PlanOptions {
    std::uint32_t disk = 0;               // its number, from 0
    std::string disk_name;                // "sda"
    std::vector<std::string> exclusions;  // as CaptureRequest::exclusions
    bool all_sectors = false;
};

// Only a read error is an Error.
Result<DiskPlan> plan_disk(disks::BlockDevice& disk, const PlanOptions& options);

// Does `exclusion` name this partition?  "2", "1:2", "sda2", "nvme0n1p2".
bool names_partition(const std::string& exclusion, const PlanOptions& disk, unsigned partition);

}  // namespace slipway::imagestore
