// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/repairs.hpp"

#include <algorithm>

namespace slipway::multicast {

bool Repairs::want(std::uint32_t chunk, std::uint16_t block, std::uint8_t missing, Instant now) {
    if (missing == 0) return false;
    const Place at{chunk, block};
    auto& b = blocks_[at];
    if (!on_way(b, now)) b.on_way = 0;
    const auto covered = static_cast<unsigned>(b.waiting) + b.on_way;
    if (missing <= covered) return false;
    b.waiting = static_cast<std::uint8_t>(missing - b.on_way);
    waiting_.insert(at);
    return true;
}

std::optional<Repairs::Task> Repairs::next() const {
    if (waiting_.empty()) return std::nullopt;
    const auto& [chunk, block] = *waiting_.begin();
    return Task{chunk, block, blocks_.at({chunk, block}).waiting};
}

void Repairs::sent(const Task& task, Instant now) {
    const Place at{task.chunk, task.block};
    auto found = blocks_.find(at);
    if (found == blocks_.end()) return;
    auto& b = found->second;
    b.waiting = static_cast<std::uint8_t>(b.waiting - std::min(b.waiting, task.symbols));
    b.on_way = static_cast<std::uint8_t>(std::min(255, b.on_way + task.symbols));
    b.sent = now;
    if (b.waiting == 0) waiting_.erase(at);
    sent_.emplace_back(now, at);
}

// Each that was sent is looked at once, however many there are.
void Repairs::settle(Instant now) {
    for (; !sent_.empty() && now - sent_.front().first >= settle_; sent_.pop_front()) {
        const auto found = blocks_.find(sent_.front().second);
        if (found != blocks_.end() && found->second.waiting == 0 && !on_way(found->second, now)) blocks_.erase(found);
    }
}

std::vector<Deficit> Repairs::known(Instant now) {
    settle(now);
    std::vector<Deficit> out;
    const auto add = [&](const Place& at, const Block& b) {
        out.push_back({at.first, at.second, static_cast<std::uint8_t>(std::min(255, b.waiting + b.on_way))});
        return out.size() < kMaxDeficits;
    };
    for (const auto& at : waiting_)
        if (!add(at, blocks_.at(at))) return out;
    for (const auto& [at, b] : blocks_)
        if (b.waiting == 0 && !add(at, b)) break;
    return out;
}

bool Repairs::idle(Instant now) {
    settle(now);
    return blocks_.empty();
}

bool Repairs::concerns(std::uint32_t chunk, Instant now) const {
    for (auto at = blocks_.lower_bound({chunk, 0}); at != blocks_.end() && at->first.first == chunk; ++at)
        if (at->second.waiting > 0 || on_way(at->second, now)) return true;
    return false;
}

void Repairs::drop_chunk(std::uint32_t chunk) {
    const auto from = blocks_.lower_bound({chunk, 0});
    auto to = from;
    for (; to != blocks_.end() && to->first.first == chunk; ++to) waiting_.erase(to->first);
    blocks_.erase(from, to);
}

void Repairs::clear() {
    blocks_.clear();
    waiting_.clear();
    sent_.clear();
}

}  // namespace slipway::multicast
