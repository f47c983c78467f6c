// SPDX-License-Identifier: GPL-3.0-or-later
// What is to be sent again: the greatest deficit of each block that anyone has reported.
#pragma once

#include <chrono>
#include <deque>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "imagestore/multicast/wire.hpp"
#include "lib/base/clock.hpp"

namespace slipway::multicast {

class Repairs {
public:
    explicit Repairs(std::chrono::milliseconds settle) : settle_(settle) {}

    // A deficit of one block. What was sent and may still be on its way is not asked for twice.
    // True when there is more to send than before.
    bool want(std::uint32_t chunk, std::uint16_t block, std::uint8_t missing, Instant now);
    // The block to repair now, and by how many symbols; they count as sent with sent().
    struct Task {
        std::uint32_t chunk = 0;
        std::uint16_t block = 0;
        std::uint8_t symbols = 0;
    };
    std::optional<Task> next() const;
    void sent(const Task& task, Instant now);
    // Those that receivers need not report: to be sent, or sent a moment ago. At most kMaxDeficits, what waits first.
    std::vector<Deficit> known(Instant now);
    bool idle(Instant now);                                 // nothing waits, nothing is on its way
    bool concerns(std::uint32_t chunk, Instant now) const;  // something of it waits, or is on its way
    void drop_chunk(std::uint32_t chunk);
    void clear();

private:
    struct Block {
        std::uint8_t waiting = 0, on_way = 0;
        Instant sent{};
    };
    using Place = std::pair<std::uint32_t, std::uint16_t>;  // chunk and block
    void settle(Instant now);
    bool on_way(const Block& b, Instant now) const { return b.on_way > 0 && now - b.sent < settle_; }
    std::chrono::milliseconds settle_;
    std::map<Place, Block> blocks_;
    std::set<Place> waiting_;  // of them
    std::deque<std::pair<Instant, Place>> sent_;
};

}  // namespace slipway::multicast
