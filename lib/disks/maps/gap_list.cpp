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

std::vector<Extent>::const_iterator GapList::from(std::uint64_t offset) const {
    return std::lower_bound(gaps_.begin(), gaps_.end(), offset,
                            [](const Extent& gap, std::uint64_t value) { return gap.end() <= value; });
}

bool GapList::touches(Extent range) const {
    auto gap = from(range.offset);
    return gap != gaps_.end() && gap->offset < range.end();
}

}  // namespace slipway::disks
