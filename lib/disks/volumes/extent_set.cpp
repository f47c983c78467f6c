// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/volumes/extent_set.hpp"

#include <algorithm>

namespace slipway::disks {

void ExtentSet::add(Extent extent) {
    extent.length = std::min(extent.length, UINT64_MAX - extent.offset);
    if (extent.length == 0) return;
    if (!extents_.empty() && extents_.back().end() == extent.offset) {
        extents_.back().length += extent.length;
        return;
    }
    extents_.push_back(extent);
    if (extents_.size() >= tidy_at_) {
        tidy();
        tidy_at_ = std::max<std::size_t>(4096, 2 * extents_.size());
    }
}

void ExtentSet::add(const ExtentList& extents) {
    for (const auto& extent : extents.extents()) add(extent);
}

void ExtentSet::tidy() {
    std::sort(extents_.begin(), extents_.end(), [](const Extent& a, const Extent& b) { return a.offset < b.offset; });
    ExtentList joined;
    for (const auto& extent : extents_) joined.add(extent);
    extents_ = joined.extents();
}

ExtentList ExtentSet::cut_to(std::uint64_t size) {
    tidy();
    ExtentList out;
    for (const auto& extent : extents_)
        if (extent.offset < size) out.add({extent.offset, std::min(extent.length, size - extent.offset)});
    return out;
}

}  // namespace slipway::disks
