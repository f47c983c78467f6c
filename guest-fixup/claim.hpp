// SPDX-License-Identifier: GPL-3.0-or-later
// A disk or a mounted root for us alone while it is repaired: by every repair, whichever program it is of.
#pragma once

#include <filesystem>
#include <memory>

#include "lib/base/fd.hpp"
#include "lib/disks/block.hpp"

namespace slipway::fixup {

struct DiskClaim {
    UniqueFd disk, behind;  // behind: the file that a loop device shows
};

// For the kernel's own work on the disk. The lock (of image files: QEMU's; of devices: flock on the whole disk, which
// udev keeps to as well) lasts as long as the descriptor. Reading keeps writers out alone.
// Errors: fixup.in-use, fixup.busy, fixup.read-only, disks.vhd-in-use, disks.vhd-has-children.
Result<DiskClaim> claim_disk(const std::filesystem::path& path, bool read_only);

// A directory with a mounted root: flock on it. Errors: fixup.busy.
Result<UniqueFd> claim_root(const std::filesystem::path& root, bool read_only);

// The same and the disk itself, for the appliance; a VHD of any kind with its parents.
struct ClaimedDisk {
    std::unique_ptr<disks::BlockDevice> disk;
    DiskClaim claim;
};
Result<ClaimedDisk> open_claimed(const std::filesystem::path& path, bool read_only);

// A disk of which claim_disk's descriptor is held: takes no lock of its own, which that one would refuse.
Result<std::unique_ptr<disks::BlockDevice>> open_under_claim(const std::filesystem::path& path, disks::OpenMode mode);

}  // namespace slipway::fixup
