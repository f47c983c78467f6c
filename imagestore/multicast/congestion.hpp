// SPDX-License-Identifier: GPL-3.0-or-later
// What the losses of many receivers say of the line they share, and what a TCP would take of it (RFC 5348, TFRC).
// A packet that nearly all of them missed was lost before their paths part; what one of them loses says nothing.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "lib/base/clock.hpp"

namespace slipway::multicast {

// Which packets nearly all receivers missed.
class CommonLoss {
public:
    // A receiver tells of the 64 packets from 64 * block on; bit i of lost: it did not come. Once of each block.
    void add(std::uint64_t block, std::uint64_t lost);
    struct Block {
        std::uint64_t block = 0, lost = 0;  // lost by three of four
    };
    // Ascending; those of which three of four have told. Each is given once.
    std::vector<Block> take(std::size_t receivers);

private:
    struct Told {
        std::uint32_t heard = 0;
        std::array<std::uint32_t, 64> lost{};
    };
    std::map<std::uint64_t, Told> blocks_;  // at most kKept
    std::uint64_t done_ = 0;                // those below were given
};

// The rate of loss events, by their last eight intervals (RFC 5348, 5.4). An event is what was lost from its first
// packet on until the rate was lowered for it, but a round trip at least: what is lost meanwhile is the same
// congestion.
class LossEvents {
public:
    // Each packet that most have told of, in the order of sending.
    void passed(std::uint64_t packets) { open_ += packets; }
    // True when it begins an event.
    bool lost(Instant sent, Instant::duration round_trip);
    void lowered(Instant now);
    // As if it had been so up to the first event: the rate that was found then is a fair one (RFC 5348, 6.3.1).
    void begin(double rate);
    double rate() const;  // events a packet; 0: none yet

private:
    static constexpr std::size_t kIntervals = 8;
    std::deque<double> intervals_;  // the newest first
    std::uint64_t open_ = 0;
    Instant until_{}, at_least_until_{};
};

// Bits a second of a TCP that sends packets of so many bytes (RFC 5348, 3.1; t_RTO is 4 round trips, b is 1). No loss:
// without bound.
double tcp_rate(double bytes, Instant::duration round_trip, double events);
// And the other way round: the rate of loss events at which it sends as fast.
double events_at(double bytes, Instant::duration round_trip, double bits);

}  // namespace slipway::multicast
