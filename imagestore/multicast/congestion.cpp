// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/congestion.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace slipway::multicast {

namespace {

constexpr std::size_t kKept = 1024;
constexpr double kUnbound = 1e12;

}  // namespace

void CommonLoss::add(std::uint64_t block, std::uint64_t lost) {
    if (block < done_) return;
    auto& told = blocks_[block];
    ++told.heard;
    for (unsigned i = 0; lost != 0; ++i, lost >>= 1) told.lost[i] += lost & 1;
    if (blocks_.size() > kKept) blocks_.erase(blocks_.begin());
}

std::vector<CommonLoss::Block> CommonLoss::take(std::size_t receivers) {
    std::vector<Block> out;
    const auto enough = std::max<std::size_t>(1, (receivers * 3 + 3) / 4);
    for (const auto& [number, told] : blocks_) {
        if (told.heard < enough) continue;
        Block block{number, 0};
        for (unsigned i = 0; i < told.lost.size(); ++i)
            block.lost |= std::uint64_t{told.lost[i] * 4 >= told.heard * 3} << i;
        out.push_back(block);
    }
    if (out.empty()) return out;
    done_ = out.back().block + 1;
    blocks_.erase(blocks_.begin(), blocks_.lower_bound(done_));
    return out;
}

bool LossEvents::lost(Instant sent, Instant::duration round_trip) {
    ++open_;
    if (sent < until_) return false;
    until_ = Instant::max();
    at_least_until_ = sent + round_trip;
    intervals_.push_front(static_cast<double>(std::exchange(open_, 0)));
    if (intervals_.size() > kIntervals) intervals_.pop_back();
    return true;
}

void LossEvents::lowered(Instant now) { until_ = std::max(at_least_until_, now); }

void LossEvents::begin(double rate) {
    intervals_.assign(1, 1 / rate);
    open_ = 0;
}

double LossEvents::rate() const {
    if (intervals_.empty()) return 0;
    constexpr std::array<double, kIntervals> kWeights{1, 1, 1, 1, 0.8, 0.6, 0.4, 0.2};
    double with_open = static_cast<double>(open_), open_weight = 1, closed = 0, weight = 0;
    for (std::size_t i = 0; i < intervals_.size(); ++i) {
        closed += kWeights[i] * intervals_[i];
        weight += kWeights[i];
        if (i + 1 == kIntervals) break;
        with_open += kWeights[i + 1] * intervals_[i];
        open_weight += kWeights[i + 1];
    }
    return 1 / std::max({closed / weight, with_open / open_weight, 1.0});
}

double tcp_rate(double bytes, Instant::duration round_trip, double events) {
    const auto seconds = std::chrono::duration<double>(round_trip).count();
    if (events <= 0 || seconds <= 0) return kUnbound;
    const auto p = std::min(events, 1.0);
    const auto trips = std::sqrt(2 * p / 3) + 12 * std::sqrt(3 * p / 8) * p * (1 + 32 * p * p);
    return std::min(kUnbound, 8 * bytes / (seconds * trips));
}

double events_at(double bytes, Instant::duration round_trip, double bits) {
    double low = 1e-9, high = 1;
    for (int i = 0; i < 60; ++i) {
        const auto middle = std::sqrt(low * high);
        (tcp_rate(bytes, round_trip, middle) > bits ? low : high) = middle;
    }
    return high;
}

}  // namespace slipway::multicast
