// SPDX-License-Identifier: GPL-3.0-or-later
// Laying a disk's content into a new file, as fast as the machine goes: several threads read, look for zeroes and write
// whole blocks; holes of the source are not read, and zeroes are not written.
#pragma once

#include "lib/disks/vhd/image.hpp"
#include "lib/disks/vhd/operations.hpp"

namespace slipway::disks::vhd {

struct CopyReport {
    std::uint64_t data_bytes = 0;
};
// The disk's bytes from the start of the file, whose size becomes that of the disk.
Result<CopyReport> copy_flat(BlockDevice& source, File& out, const VhdWork& work);
// A complete dynamic VHD. The footer's size may be larger than the source: the rest is zero.
Result<CopyReport> copy_dynamic(BlockDevice& source, File& out, Image image, const VhdWork& work);

}  // namespace slipway::disks::vhd
