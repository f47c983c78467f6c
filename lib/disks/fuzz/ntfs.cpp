// SPDX-License-Identifier: GPL-3.0-or-later
// NTFS: attribute lists, runs, indexes, log pages and the bitmap of a hostile volume, with and without page files.
#include "lib/disks/fuzz/piece_disk.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto input = std::as_bytes(std::span(data, size));
    slipway::disks::fuzz::PieceDisk disk(input, 2u << 20);
    slipway::disks::fuzz::check_map(slipway::disks::map_used(disk), disk.size());
    slipway::disks::fuzz::check_map(slipway::disks::map_used(disk, {.drop_page_files = true}), disk.size());
    return 0;
}
