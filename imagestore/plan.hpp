// SPDX-License-Identifier: GPL-3.0-or-later
// What of a disk is worth reading: its layout, its volumes, and their used blocks, as one list of
// extents. LVM, md and encrypted volumes are looked through (lib/disks/volumes/). Bytes that no volume claims (boot
// code, the gap before the first partition, EBRs, both GPT copies) are always taken.
#pragma once

#include <string>
#include <vector>

#include "imagestore/manifest.hpp"
#include "lib/disks/layout.hpp"
#include "lib/disks/used_map.hpp"

namespace slipway::imagestore {

struct DiskPlan {
    disks::DiskLayout layout;
    std::vector<VolumeInfo> volumes;    // by offset
    disks::ExtentList used;             // of the whole disk
    std::vector<std::string> warnings;  // of volumes inside others: with the first disk
};

struct PlanOptions {
    std::uint32_t disk = 0;               // its number, from 0
    std::string disk_name;                // "sda"
    std::vector<std::string> exclusions;  // as CaptureRequest::exclusions
    bool all_sectors = false;
    bool bare = false;  // one volume: no partition table is looked for
};

struct PlanDisk {
    disks::BlockDevice* device = nullptr;
    PlanOptions options;
};

// All disks of one machine together, since a volume may span several. Only a read error is an Error.
Result<std::vector<DiskPlan>> plan_disks(const std::vector<PlanDisk>& disks, const disks::MapOptions& options = {});
// One disk alone.
Result<DiskPlan> plan_disk(disks::BlockDevice& disk, const PlanOptions& options);

// Does `exclusion` name this partition?  "2", "1:2", "sda2", "nvme0n1p2".
bool names_partition(const std::string& exclusion, const PlanOptions& disk, unsigned partition);

}  // namespace slipway::imagestore
