// SPDX-License-Identifier: GPL-3.0-or-later
// Time is a parameter: state machines take time points as values, I/O code takes a Clock.
#pragma once

#include <chrono>
#include <string>

namespace slipway {

using Instant = std::chrono::steady_clock::time_point;   // for intervals
using WallTime = std::chrono::system_clock::time_point;  // for records

class Clock {
public:
    virtual ~Clock() = default;
    virtual Instant now() const = 0;
    virtual WallTime wall() const = 0;
};

class SystemClock final : public Clock {
public:
    Instant now() const override { return std::chrono::steady_clock::now(); }
    WallTime wall() const override { return std::chrono::system_clock::now(); }
};

// For tests: moves only when told.
class ManualClock final : public Clock {
public:
    Instant now() const override { return now_; }
    WallTime wall() const override { return wall_; }
    void advance(std::chrono::milliseconds by) {
        now_ += by;
        wall_ += by;
    }

private:
    Instant now_{};
    WallTime wall_{std::chrono::seconds(1'000'000'000)};
};

std::string iso8601(WallTime when);                       // "2026-11-23T20:04:11Z"
std::int64_t unix_milliseconds(WallTime when);
WallTime from_unix_milliseconds(std::int64_t milliseconds);

}  // namespace slipway
