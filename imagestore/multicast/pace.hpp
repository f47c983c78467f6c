// SPDX-License-Identifier: GPL-3.0-or-later
// How fast a session sends: a token bucket that catches up gently, below a ceiling that may change while it runs, and
// (adaptive) the search for what the line and the receivers carry. What one of them loses does not slow it: loss that
// they have in common does, and how far most of them are behind.
#pragma once

#include <chrono>
#include <cstdint>

#include "lib/base/clock.hpp"

namespace slipway::multicast {

struct PaceOptions {
    std::uint64_t ceiling = 0;         // bits a second with IP and UDP headers; 0: none, adaptive alone
    bool adaptive = true;              // false: at the ceiling, which is not 0 then
    std::uint64_t first = 20'000'000;  // where the search begins
};

class Pace {
public:
    Pace(PaceOptions options, Instant now);

    void set_ceiling(std::uint64_t bits);  // 0: none
    // A slow disk: not faster than this until then, and then twice as fast after each second.
    void hold_to(std::uint64_t bits, Instant until);
    struct Losses {
        double share = 0;    // of the packets, that nearly all receivers missed
        bool event = false;  // some of them began a loss event
        double fair = 1e11;  // bits a second that a TCP would take here
    };
    // True when that made the rate another.
    bool on_losses(const Losses& losses, Instant now);
    bool searching() const { return searching_; }
    // Most receivers lag behind what is sent, and take so many bits a second. True when that made the rate lower.
    bool on_lag(double bits);
    static constexpr double kBearable = 0.01;                // loss of most that does not slow it
    static constexpr std::chrono::milliseconds kReact{200};  // it is asked so often

    std::uint64_t rate() const;  // bits a second
    std::uint64_t rate_without_hold() const { return static_cast<std::uint64_t>(rate_); }
    // When a packet may go; it has gone with spend().
    Instant ready() const { return ready_; }
    void spend(std::size_t bytes, Instant now);

private:
    bool adaptive() const { return options_.adaptive || options_.ceiling == 0; }  // something has to hold it
    PaceOptions options_;
    double rate_;
    bool searching_ = true;  // doubling, until the first loss
    double spent_ = 0;       // bits since changed_
    std::uint64_t held_ = 0;
    Instant held_until_{}, changed_, ready_;
    Instant due_;  // when, at the rate, all that was sent would be out
    Instant spent_at_;
    std::size_t spent_last_ = 0;  // bytes, then
};

}  // namespace slipway::multicast
