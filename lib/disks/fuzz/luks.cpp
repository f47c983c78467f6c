// SPDX-License-Identifier: GPL-3.0-or-later
// Hostile LUKS headers: what is recognised has texts of at most their fields, and an opaque volume counts whole.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "lib/disks/volumes/volume_set.hpp"

using namespace slipway;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto view = std::as_bytes(std::span(data, size));
    auto header = disks::parse_luks_header(view);
    if (header && (header->uuid.size() > 40 || header->label.size() > 48)) std::abort();
    static disks::MemoryDisk disk(256u << 10);
    view = view.first(std::min<std::size_t>(size, disk.size()));
    (void)disk.write(0, view);
    disks::BlockDevice* volumes[] = {&disk};
    auto maps = disks::map_volumes(volumes);
    if (!maps.ok()) std::abort();
    if (header && maps->front().filesystem == "luks" && maps->front().used.total() != disk.size()) std::abort();
    (void)disk.discard(0, view.size());
    return 0;
}
