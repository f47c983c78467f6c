// SPDX-License-Identifier: GPL-3.0-or-later
// How many requests one sender may make: a bucket of `burst` that fills again by `rate` a second. Pure, of bounded
// size.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_map>

#include "lib/base/clock.hpp"

namespace slipway {

struct FloodLimits {
    double rate = 64;
    double burst = 256;
    std::size_t known = 8192;  // senders at once; the one silent for longest is forgotten first
};

class FloodGuard {
public:
    enum class Verdict { Admit, Refuse, RefuseAndSay };  // say: the first refusal since it was admitted
    explicit FloodGuard(const FloodLimits& limits) : limits_(limits) {}
    Verdict on_request(std::uint64_t sender, Instant now);  // an IPv4 or a MAC address as a number
    std::size_t size() const { return buckets_.size(); }

private:
    struct Bucket {
        std::uint64_t sender;
        double tokens;
        Instant filled;
        bool said = false;
    };
    FloodLimits limits_;
    std::list<Bucket> buckets_;  // heard last: first
    std::unordered_map<std::uint64_t, std::list<Bucket>::iterator> by_sender_;
};

}  // namespace slipway
