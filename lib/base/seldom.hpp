// SPDX-License-Identifier: GPL-3.0-or-later
// Which lines about clients are worth writing: an unanswered ROM asks again every few seconds, and whoever makes up
// addresses must not fill the log. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "lib/base/clock.hpp"
#include "lib/base/net.hpp"

namespace slipway {

// Once a minute for each client, and at most kMany times a minute in all.
class Seldom {
public:
    static constexpr std::size_t kMany = 50;

    // What to put behind the line: how many were left out since the last that was written. None: this one is left out.
    std::optional<std::string> due(const MacAddress& client, Instant now) {
        if (now >= until_) {
            told_.clear();
            until_ = now + std::chrono::minutes(1);
        }
        if (told_.size() >= kMany || !told_.insert(client).second) {
            ++left_out_;
            return std::nullopt;
        }
        auto left_out = std::exchange(left_out_, 0);
        return left_out ? fmt::format(" ({} such lines were left out before)", left_out) : std::string();
    }

private:
    std::set<MacAddress> told_;
    Instant until_{};
    std::uint64_t left_out_ = 0;
};

}  // namespace slipway
