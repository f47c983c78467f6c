// SPDX-License-Identifier: GPL-3.0-or-later
// SplitMix64: the same moments for the same seed. For spreading reports over time; secrets are made elsewhere.
#pragma once

#include <cstdint>

namespace slipway::multicast {

class Random {
public:
    explicit Random(std::uint64_t seed) : state_(seed) {}
    std::uint64_t next() {
        auto z = state_ += 0x9e3779b97f4a7c15;
        z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
        z = (z ^ z >> 27) * 0x94d049bb133111eb;
        return z ^ z >> 31;
    }
    std::uint64_t below(std::uint64_t limit) { return limit ? next() % limit : 0; }

private:
    std::uint64_t state_;
};

}  // namespace slipway::multicast
