// SPDX-License-Identifier: GPL-3.0-or-later
// How many requests one address may make: a bucket of `burst` that fills again by `rate` a second. Pure, of bounded
// size.
#pragma once

#include <cstdint>
#include <list>
#include <unordered_map>

#include "lib/base/clock.hpp"
#include "lib/base/net.hpp"

namespace slipway::tftp {

struct FloodLimits {
    double rate = 64;  // a loader that looks for its configuration asks some 20 files at once
    double burst = 256;
    std::size_t addresses = 8192;  // known at once; the one silent for longest is forgotten first
};

class FloodGuard {
public:
    enum class Verdict { Admit, Refuse, RefuseAndSay };  // say: the first refusal since it was admitted
    explicit FloodGuard(const FloodLimits& limits) : limits_(limits) {}
    Verdict on_request(Ipv4Address from, Instant now);
    std::size_t size() const { return buckets_.size(); }

private:
    struct Bucket {
        Ipv4Address address;
        double tokens;
        Instant filled;
        bool said = false;
    };
    FloodLimits limits_;
    std::list<Bucket> buckets_;  // heard last: first
    std::unordered_map<std::uint32_t, std::list<Bucket>::iterator> by_address_;
};

}  // namespace slipway::tftp
