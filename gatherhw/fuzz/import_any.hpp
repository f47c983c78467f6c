// SPDX-License-Identifier: GPL-3.0-or-later
// Whatever an importer makes of any bytes, the inventory's reader takes it, and every walk over its references ends.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "gatherhw/importers/importers.hpp"
#include "gatherhw/reader.hpp"
#include "gatherhw/writer.hpp"

namespace slipway::gatherhw {

inline int import_one(DumpKind kind, const std::uint8_t* data, std::size_t size) {
    auto bytes = reinterpret_cast<const std::byte*>(data);
    auto inventory = import_dumps(kind, {{"dump", Bytes(bytes, bytes + size)}});
    if (!inventory) return 0;
    for (const auto& volume : inventory->volumes) (void)disks_of(*inventory, volume);
    auto read = read_inventory(to_xml(*inventory));
    if (read) return 0;
    std::fprintf(stderr, "%s\n", read.error().explain().c_str());
    std::abort();
}

}  // namespace slipway::gatherhw
