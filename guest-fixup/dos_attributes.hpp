// SPDX-License-Identifier: GPL-3.0-or-later
// What DOS has said of a file since its beginning: read-only 1, hidden 2, system 4, archive 32. FAT gives and takes it
// by an ioctl of the kernel's (linux/msdos_fs.h), NTFS by an extended attribute that no list has (system.ntfs_attrib,
// four bytes in little endian with more of NTFS' own above: ntfs-3g(8)).
#pragma once

#include <string>

namespace slipway::fixup {

// From one file or directory to another one, on whichever of the two file systems each is; nothing where one is on
// another. Neither path is followed if it is a link.
void copy_dos_attributes(const std::string& from, const std::string& to);

}  // namespace slipway::fixup
