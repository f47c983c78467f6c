// SPDX-License-Identifier: GPL-3.0-or-later
// Linux swap areas (include/linux/swap.h, union swap_header; kernel/power/swap.c for hibernation).
#pragma once

#include <optional>
#include <string>

#include "lib/disks/used_map.hpp"

namespace slipway::disks {

struct SwapHeader {
    std::uint32_t page_bytes = 4096;
    bool hibernated = false;
    std::string label, uuid;
};

// head: the first bytes of the volume, one page (up to 64 KiB) or more.
std::optional<SwapHeader> parse_swap_header(ByteView head);
// Only the header page counts; with a hibernation image, everything.
UsedMap map_swap(const BlockDevice& volume, const SwapHeader& header);

}  // namespace slipway::disks
