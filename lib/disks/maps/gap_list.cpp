// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/maps/gap_list.hpp"

#include <algorithm>

namespace slipway::disks {

bool GapList::add(Extent gap) {
    if (gap.length == 0 || gap.end() < gap.offset || gap.offset < end_) return false;
    end_ = gap.end();
    total_ += gap.length;
    if (!gaps_.empty() && gaps_.back().end() == gap.offset) {
        gaps_.back().length += gap.length;
    } else {
        if (gaps_.size() >= limit_) forget_small();
        if (gap.length >= smallest_) gaps_.push_back(gap);
    }
    return true;
}

void GapList::forget_small() {
    while (gaps_.size() > limit_ / 2) {
        smallest_ = std::max<std::uint64_t>(smallest_ * 2, 512);
        std::erase_if(gaps_, [&](const Extent& gap) { return gap.length < smallest_; });
    }
}

bool GapList::touches(Extent range) const {
    auto after = std::upper_bound(gaps_.begin(), gaps_.end(), range.offset,
                                  [](std::uint64_t value, const Extent& gap) { return value < gap.offset; });
    if (after != gaps_.end() && after->offset < range.end()) return true;
    return after != gaps_.begin() && range.offset < std::prev(after)->end();
}

}  // namespace slipway::disks
