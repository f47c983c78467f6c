// SPDX-License-Identifier: GPL-3.0-or-later
// Which lines about clients are worth writing: an unanswered ROM asks again every few seconds, and whoever makes up
// addresses must not fill the log. Pure.
#pragma once

#include <set>

#include "lib/base/clock.hpp"
#include "lib/base/net.hpp"

namespace slipway::pxe {

// True once a minute for each client, and at most kMany times a minute in all.
class Seldom {
public:
    static constexpr std::size_t kMany = 50;

    bool due(const MacAddress& mac, Instant now) {
        if (now >= until_) {
            told_.clear();
            until_ = now + std::chrono::minutes(1);
        }
        return told_.size() < kMany && told_.insert(mac).second;
    }

private:
    std::set<MacAddress> told_;
    Instant until_{};
};

}  // namespace slipway::pxe
