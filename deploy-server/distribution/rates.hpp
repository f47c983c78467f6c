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
struct Claim {
    unsigned weight = 1;      // at least 1
    std::uint64_t wants = 0;  // what it can use as things are; 0: anything
    std::uint64_t most = 0;   // what it may have; 0: anything
};
// Max-min by weight: what one cannot use goes to the others. What none of them wants is shared out all the same, up to
// what each may have, so that who becomes faster has room at once. total 0: everyone its most.
std::vector<std::uint64_t> fair_shares(std::uint64_t total, std::span<const Claim> claims);

struct Sharing {
    struct Flow {
        std::int64_t job = 0;
        IpAddress interface;
        unsigned weight = 1;      // machines that are served by it
        std::uint64_t wants = 0;  // as of Claim
        std::uint64_t rate = 0;   // the answer
    };
    struct Ceiling {
        std::int64_t job = 0;
        std::uint64_t rate = 0;
    };
    // An interface's limit is shared by its jobs alike, a job's share by its flows as they have machines: its multicast
    // session is one flow, all that it sends by unicast another. given: a job's own ceiling, in place of `rate`.
    static void share(std::vector<Flow>& flows, const DistributionSettings& settings, std::span<const Ceiling> given,
                      unsigned minute);
};

// ---- what a flow uses of what it is given
class Use {
public:
    // even: it sends as evenly as its ceiling says, so that how fast it was since the last look shows whether the
    // ceiling holds it back. Of others, held() says that.
    explicit Use(bool even) : even_(even) {}
    void held() { held_ = true; }
    // sent: bytes up to now; ceiling: its own, 0: none. Too soon after the last one: nothing.
    void look(std::uint64_t sent, std::uint64_t ceiling, Instant now);
    void rest() { seen_.clear(); }  // it does nothing for a reason of its own, which says nothing of what it can use
    // Bits a second: a quarter more than it took in the last seconds, and more with each look while it is held back.
    // 0: as much as there is, as long as that is not known.
    std::uint64_t wants() const { return static_cast<std::uint64_t>(wants_); }

private:
    bool even_, held_ = false;
    std::deque<std::pair<Instant, std::uint64_t>> seen_;  // of the last seconds
    double wants_ = 0;
};

// ---- how much goes in one answer by unicast, of a row of that rate: a quarter of a second's, so that over any five
// seconds it is the rate within a twentieth, and machines wait for each other's answers no longer than they must. One
// chunk at least, eight at most.
std::size_t chunks_of_an_answer(std::uint64_t bits);

// ---- the meter of what goes by unicast: bytes in a row, each let through when it and those before it have had their
// time. While the last one is on its way to its machine, which asks for the next afterwards, time is not lost.
class Meter {
public:
    explicit Meter(Instant now) : last_(now) {}
    void set_rate(std::uint64_t bits, Instant now);
    std::uint64_t rate() const { return rate_; }
    // Its place in the row.
    double add(std::size_t bytes, Instant now);
    void take_back(std::size_t bytes, Instant now);  // of the row; the places behind them are lower by so much
    Instant due(double place, Instant now);          // not after now: it may go
    double waiting(Instant now);                     // bytes

private:
    void turn(Instant now);
    std::uint64_t rate_ = 0;
    double passed_ = 0, end_ = 0;  // bytes since the beginning
    double last_size_ = 0;         // passed_ is beyond end_ by so much at most
    Instant last_;
};

}  // namespace slipway::server
