// SPDX-License-Identifier: GPL-3.0-or-later
// A disk for us alone while it is repaired.
#pragma once

#include <filesystem>
#include <memory>

#include "lib/base/fd.hpp"
#include "lib/disks/block.hpp"

namespace slipway::console {

// For the kernel's own work on the disk. The lock (of files: QEMU's) lasts as long as the descriptor. Reading keeps
// writers out alone. Errors: console.disk-in-use, disks.vhd-in-use, disks.vhd-has-children.
Result<UniqueFd> claim_disk(const std::filesystem::path& path, bool read_only);

// The same and the disk itself, for the appliance; a VHD of any kind with its parents.
struct ClaimedDisk {
    std::unique_ptr<disks::BlockDevice> disk;
    UniqueFd claim;
};
Result<ClaimedDisk> open_claimed(const std::filesystem::path& path, bool read_only);

}  // namespace slipway::console
