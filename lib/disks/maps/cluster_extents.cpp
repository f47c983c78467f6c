// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/maps/cluster_extents.hpp"

#include <algorithm>
#include <bit>

namespace slipway::disks {

void ClusterExtents::add(ClusterRun run) {
    while (next_left_out_ < left_out_.size() && left_out_[next_left_out_].end() <= run.first) ++next_left_out_;
    for (auto i = next_left_out_; run.count > 0; ++i) {
        if (i == left_out_.size() || left_out_[i].first >= run.end()) return append(run);
        const auto& hole = left_out_[i];
        if (hole.first > run.first) append({run.first, hole.first - run.first});
        auto from = std::max(hole.first, run.first), to = std::min(hole.end(), run.end());
        left_out_clusters_ += to - from;
        run = {to, run.end() - to};
    }
}

void ClusterExtents::append(ClusterRun run) {
    if (!runs_.empty() && run.first - runs_.back().end() <= gap_) {
        runs_.back().count = run.end() - runs_.back().first;
        return;
    }
    runs_.push_back(run);
    if (runs_.size() > max_runs_) coarsen();
}

void ClusterExtents::coarsen() {
    while (runs_.size() > max_runs_ / 2) {
        gap_ = gap_ == 0 ? 1 : gap_ * 2;
        std::size_t kept = 0;
        for (std::size_t i = 1; i < runs_.size(); ++i) {
            if (runs_[i].first - runs_[kept].end() <= gap_) runs_[kept].count = runs_[i].end() - runs_[kept].first;
            else runs_[++kept] = runs_[i];
        }
        runs_.resize(kept + 1);
    }
}

void ClusterExtents::add_bitmap(ByteView bits, std::uint64_t first_cluster) {
    if (first_cluster >= heap_.clusters) return;
    auto count = std::min<std::uint64_t>(bits.size() * 8, heap_.clusters - first_cluster);
    for (std::uint64_t at = 0; at < count; at += 64) {
        auto bytes = bits.subspan(at / 8, std::min<std::size_t>(8, bits.size() - at / 8));
        std::uint64_t word = 0;
        for (std::size_t i = 0; i < bytes.size(); ++i) word |= std::to_integer<std::uint64_t>(bytes[i]) << 8 * i;
        if (count - at < 64) word &= (std::uint64_t{1} << (count - at)) - 1;
        for (int low = 0; word != 0;) {
            int zeros = std::countr_zero(word), ones = std::countr_one(word >> zeros);
            add({first_cluster + at + static_cast<unsigned>(low + zeros), static_cast<unsigned>(ones)});
            low += zeros + ones;
            word = zeros + ones == 64 ? 0 : word >> (zeros + ones);
        }
    }
}

bool ClusterExtents::has(ClusterRun run) const {
    auto after = std::upper_bound(runs_.begin(), runs_.end(), run.first,
                                  [](std::uint64_t value, const ClusterRun& r) { return value < r.first; });
    return run.count == 0 || (after != runs_.begin() && run.end() <= std::prev(after)->end());
}

ExtentList ClusterExtents::extents(std::uint64_t volume_bytes) const {
    ExtentList out;
    out.add({0, heap_.offset});
    for (const auto& run : runs_)
        out.add({heap_.offset + run.first * heap_.cluster_bytes, run.count * heap_.cluster_bytes});
    auto end = heap_.offset + heap_.clusters * heap_.cluster_bytes;
    if (end < volume_bytes) out.add({end, volume_bytes - end});
    return out;
}

bool sort_disjoint(std::vector<ClusterRun>& runs) {
    std::sort(runs.begin(), runs.end(), [](const ClusterRun& a, const ClusterRun& b) { return a.first < b.first; });
    for (std::size_t i = 1; i < runs.size(); ++i)
        if (runs[i].first < runs[i - 1].end()) return false;
    return true;
}

}  // namespace slipway::disks
