// SPDX-License-Identifier: GPL-3.0-or-later
// FAT12, FAT16 and FAT32: boot sector, FATs and root directory of a hostile volume.
#include "lib/disks/fuzz/piece_disk.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto input = std::as_bytes(std::span(data, size));
    slipway::disks::fuzz::PieceDisk disk(input, 36u << 20);
    slipway::disks::fuzz::check_map(slipway::disks::map_used(disk), disk.size());
    return 0;
}
