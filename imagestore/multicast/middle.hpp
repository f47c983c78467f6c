// SPDX-License-Identifier: GPL-3.0-or-later
// The middle one of many values: what one liar or one straggler does not move.
#pragma once

#include <algorithm>
#include <vector>

namespace slipway::multicast {

// 0 of none.
template <typename T>
T middle_of(std::vector<T> all) {
    if (all.empty()) return 0;
    const auto middle = all.begin() + static_cast<std::ptrdiff_t>(all.size() / 2);
    std::nth_element(all.begin(), middle, all.end());
    return *middle;
}

}  // namespace slipway::multicast
