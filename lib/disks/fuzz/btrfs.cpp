// SPDX-License-Identifier: GPL-3.0-or-later
// Used blocks of a hostile btrfs volume: no crash, no read outside, and the map stays inside the volume, in order.
#include <cstdint>
#include <cstdlib>

#include "lib/disks/fuzz/pieces.hpp"
#include "lib/disks/maps/btrfs_map.hpp"

using namespace slipway;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto disk = disks::fuzz::disk_of(std::as_bytes(std::span(data, size)));
    Bytes head(std::min<std::uint64_t>(disk.size(), disks::kMapHeadBytes));
    if (!disk.read(0, head).ok()) std::abort();
    auto super = disks::parse_btrfs_superblock(head);
    if (!super) return 0;
    auto map = disks::map_btrfs(disk, *super);
    if (!map.ok()) std::abort();  // this disk has no read errors, and nothing is read outside
    std::uint64_t end = 0;
    for (const auto& e : map->used.extents()) {
        if (e.length == 0 || e.offset < end || e.end() > disk.size()) std::abort();
        end = e.end();
    }
    if (!map->why_all.empty() && map->used.total() != disk.size()) std::abort();
    return 0;
}
