// SPDX-License-Identifier: GPL-3.0-or-later
// Free ranges, as an allocator's tree lists them, in bounded memory.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "lib/disks/used_map.hpp"

namespace slipway::disks {

// Ascending and disjoint. Beyond `limit` the smallest gaps are forgotten, so that they count as used: a volume in
// crumbs is captured with a little more than it needs, and no hostile one takes more than limit * 16 bytes.
class GapList {
public:
    static constexpr std::size_t kLimit = (1u << 20) - 1024;  // the map made of it fits 2^20 extents as well
    explicit GapList(std::size_t limit = kLimit) : limit_(limit) {}

    // False, and nothing added, when the gap is empty, overflows, or starts before the end of the last one given.
    bool add(Extent gap);
    bool touches(Extent range) const;               // any byte of it lies in a gap
    std::uint64_t total() const { return total_; }  // of all gaps given, forgotten ones too
    const std::vector<Extent>& gaps() const { return gaps_; }
    std::vector<Extent>::const_iterator from(std::uint64_t offset) const;  // the first gap that ends behind offset

private:
    void forget_small();

    std::vector<Extent> gaps_;
    std::size_t limit_;
    std::uint64_t end_ = 0, total_ = 0;
    std::uint64_t smallest_ = 0;  // shorter gaps are forgotten
};

}  // namespace slipway::disks
