// SPDX-License-Identifier: GPL-3.0-or-later
// Whether an XFS log has anything to replay. Layout: XFS Algorithms & Data Structures, "Journaling Log"; the head is
// where the kernel's xlog_find_head would put it.
#pragma once

#include <string>

#include "lib/base/uuid.hpp"
#include "lib/disks/block.hpp"

namespace slipway::disks {

// log: the window of the volume that holds it. Empty when the newest record is that of an unmount; else what is
// found instead, and the log must be replayed or cannot be understood. Only a read error is an Error.
Result<std::string> unclean_xfs_log(BlockDevice& log, const Uuid& filesystem);

}  // namespace slipway::disks
