// SPDX-License-Identifier: GPL-3.0-or-later
// A union of extents added in any order, as stacked volumes give them; ExtentList wants them sorted.
#pragma once

#include <vector>

#include "lib/disks/used_map.hpp"

namespace slipway::disks {

class ExtentSet {
public:
    void add(Extent extent);
    void add(const ExtentList& extents);
    // Sorted, joined and cut to [0, size).
    ExtentList cut_to(std::uint64_t size);

private:
    void tidy();
    std::vector<Extent> extents_;
    std::size_t tidy_at_ = 4096;  // how many entries make sorting and joining worth it
};

}  // namespace slipway::disks
