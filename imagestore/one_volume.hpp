// SPDX-License-Identifier: GPL-3.0-or-later
// One partition as a disk of its own: what a capture of one volume reads, and where a deploy of one writes.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "imagestore/capture.hpp"
#include "lib/disks/block.hpp"

namespace slipway::imagestore {

// Refers to the disk it was found on, which outlives it.
struct OneVolume {
    std::unique_ptr<disks::OffsetLayer> window;
    CaptureDisk disk;  // of the window; what CaptureRequest::disks takes
};

// `word` as an exclusion's: "sda2", "2" (of the first disk), "1:2". Errors: imagestore.no-partition, and a read error.
Result<OneVolume> find_volume(const std::vector<CaptureDisk>& disks, const std::string& word);

// Partition `number` of a disk, as it is now. The same errors.
Result<std::unique_ptr<disks::OffsetLayer>> open_partition(disks::BlockDevice& disk, std::uint32_t number);

}  // namespace slipway::imagestore
