// SPDX-License-Identifier: GPL-3.0-or-later
// How fast images go out: what the settings allow at a moment, how that is shared, and when a unicast answer may go.
// Rates are bits a second, 0 is "no limit"; time comes as a value.
#pragma once

#include <deque>
#include <span>
#include <string_view>
#include <vector>

#include "deploy-server/db/database.hpp"
#include "lib/base/clock.hpp"

namespace slipway::server {

// ---- windows: "22:00-06:00=unlimited", minutes of the server's day
inline constexpr unsigned kDayMinutes = 24 * 60;

// "HH:MM" up to "24:00".
std::optional<unsigned> parse_day_minute(std::string_view text);
std::string day_minute_text(unsigned minute);
// The first one that the minute is in. From a later minute to an earlier one it goes over midnight; from one to the
// same, all day.
const RateWindow* window_at(std::span<const RateWindow> windows, unsigned minute);
unsigned day_minute(WallTime now);  // by this machine's time zone

// ---- what holds at a minute: in a window its rate takes the place of `rate` and of each interface's limit
std::uint64_t job_rate(const DistributionSettings& settings, unsigned minute);
std::uint64_t interface_rate(const DistributionSettings& settings, const IpAddress& interface, unsigned minute);

// ---- shares
// Max-min: what one cannot use goes to the others. ceilings: of each; total 0: everyone its ceiling.
std::vector<std::uint64_t> fair_shares(std::uint64_t total, std::span<const std::uint64_t> ceilings);

struct Sharing {
    struct Flow {
        std::int64_t job = 0;
        IpAddress interface;
        std::uint64_t rate = 0;  // the answer
    };
    struct Ceiling {
        std::int64_t job = 0;
        std::uint64_t rate = 0;
    };
    // An interface's limit is shared by its jobs, a job's share by its flows: a multicast session is one, a machine
    // that is served by unicast another. given: a job's own ceiling, in place of `rate`.
    static void share(std::vector<Flow>& flows, const DistributionSettings& settings, std::span<const Ceiling> given,
                      unsigned minute);
};

// ---- a unicast flow's meter: bytes in a row, each let through when those before it have had their time
class Meter {
public:
    explicit Meter(Instant now) : last_(now) {}
    void set_rate(std::uint64_t bits, Instant now);
    std::uint64_t rate() const { return rate_; }
    // Its place in the row.
    double add(std::size_t bytes, Instant now);
    Instant due(double place, Instant now);  // not after now: it may go
    double waiting(Instant now);             // bytes

private:
    void turn(Instant now);
    std::uint64_t rate_ = 0;
    double passed_ = 0, end_ = 0;  // bytes since the beginning
    Instant last_;
};

}  // namespace slipway::server
