// SPDX-License-Identifier: GPL-3.0-or-later
// Partition tables and used-block maps over a hostile disk: no crash, no read outside, and the map stays inside the
// volume.
#include <cstdint>
#include <cstdlib>

#include "lib/disks/layout.hpp"
#include "lib/disks/used_map.hpp"

using namespace slipway;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto view = std::as_bytes(std::span(data, size));
    Bytes content(view.begin(), view.end());
    content.resize(1u << 20);  // what the seed leaves out is zero
    disks::MemoryDisk disk(std::move(content));
    auto layout = disks::read_layout(disk);
    for (const auto& p : layout->partitions)
        if (p.offset + p.length > disk.size()) std::abort();
    auto map = disks::map_used(disk);
    if (map.ok())
        for (const auto& e : map->used.extents())
            if (e.end() > disk.size() || e.length == 0) std::abort();
    return 0;
}
