// SPDX-License-Identifier: GPL-3.0-or-later
// Who uses an image file. The locks are QEMU's own (block/file-posix.c: open-file-description locks on single bytes),
// so that QEMU, qemu-img and Slipway keep out of each other's way: byte 100+N is held by who uses a file in way N, byte
// 200+N by who does not share way N with others. Where the file system has no such locks nothing is locked.
#pragma once

#include "lib/base/fd.hpp"

namespace slipway::disks::vhd {

enum class Use {
    Read,   // nobody may write meanwhile
    Write,  // nobody may read or write meanwhile
};

// Held for as long as this open file lives. errors::kVhdInUse when another one uses the file otherwise.
Status lock_for(int fd, Use use, std::string_view name);
// Whether lock_for would be refused, without keeping a lock.
bool in_use(int fd, Use use);

}  // namespace slipway::disks::vhd
