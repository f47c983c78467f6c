// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/repairs.hpp"

#include <algorithm>

namespace slipway::multicast {

bool Repairs::want(std::uint32_t chunk, std::uint16_t block, std::uint8_t missing, Instant now) {
    auto& b = blocks_[{chunk, block}];
    if (b.on_way > 0 && now - b.sent >= settle_) b.on_way = 0;
    const auto covered = static_cast<unsigned>(b.waiting) + b.on_way;
    if (missing <= covered) return false;
    b.waiting = static_cast<std::uint8_t>(missing - b.on_way);
    return true;
}

std::optional<Repairs::Task> Repairs::next() const {
    for (const auto& [at, block] : blocks_)
        if (block.waiting > 0) return Task{at.first, at.second, block.waiting};
    return std::nullopt;
}

void Repairs::sent(const Task& task, Instant now) {
    auto found = blocks_.find({task.chunk, task.block});
    if (found == blocks_.end()) return;
    auto& b = found->second;
    b.waiting = static_cast<std::uint8_t>(b.waiting - std::min(b.waiting, task.symbols));
    b.on_way = static_cast<std::uint8_t>(std::min(255, b.on_way + task.symbols));
    b.sent = now;
}

void Repairs::settle(Instant now) {
    std::erase_if(blocks_, [&](const auto& entry) {
        const auto& b = entry.second;
        return b.waiting == 0 && (b.on_way == 0 || now - b.sent >= settle_);
    });
}

std::vector<Deficit> Repairs::known(Instant now) {
    settle(now);
    std::vector<Deficit> out;
    for (const bool waiting : {true, false})
        for (const auto& [at, b] : blocks_)
            if ((b.waiting > 0) == waiting && out.size() < kMaxDeficits)
                out.push_back({at.first, at.second, static_cast<std::uint8_t>(std::min(255, b.waiting + b.on_way))});
    return out;
}

bool Repairs::idle(Instant now) {
    settle(now);
    return blocks_.empty();
}

bool Repairs::concerns(std::uint32_t chunk, Instant now) {
    settle(now);
    const auto at = blocks_.lower_bound({chunk, 0});
    return at != blocks_.end() && at->first.first == chunk;
}

void Repairs::drop_chunk(std::uint32_t chunk) {
    std::erase_if(blocks_, [&](const auto& entry) { return entry.first.first == chunk; });
}

}  // namespace slipway::multicast
