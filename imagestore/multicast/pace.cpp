// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/pace.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace slipway::multicast {

namespace {

constexpr double kLeast = 1e6, kMost = 1e11;
constexpr double kYield = 0.03, kYieldFirst = 0.1;       // at a loss event
constexpr double kLeastGrowth = 0.1, kMostGrowth = 0.2;  // a second
constexpr double kDrain = 0.85;  // of what they take: what waits in their buffers is to become less
constexpr std::chrono::milliseconds kBurst{4};
// A sender that was not given the processor catches up, at little above the rate: the line was idle meanwhile, so its
// queue has room for that. More would be a burst for switches.
constexpr std::chrono::milliseconds kCatchUp{250};
constexpr double kCatchUpBy = 1.25;

std::chrono::nanoseconds lasts(std::size_t bytes, double rate) {
    return std::chrono::nanoseconds(static_cast<std::int64_t>(8e9 * static_cast<double>(bytes) / std::max(rate, 1.0)));
}

}  // namespace

Pace::Pace(PaceOptions options, Instant now)
    : options_(options), changed_(now), ready_(now), due_(now), spent_at_(now) {
    rate_ = static_cast<double>(adaptive() ? options_.first : options_.ceiling);
    set_ceiling(options_.ceiling);
}

// What was sent at a rate that was given by mistake is not waited for at that.
void Pace::set_ceiling(std::uint64_t bits) {
    options_.ceiling = bits;
    if (!adaptive()) rate_ = static_cast<double>(bits);
    else if (bits > 0) rate_ = std::min(rate_, static_cast<double>(bits));
    const auto out = spent_at_ + lasts(spent_last_, static_cast<double>(rate()));
    due_ = std::min(due_, out);
    ready_ = std::min(ready_, out);
}

void Pace::hold_to(std::uint64_t bits, Instant until) {
    held_ = bits;
    held_until_ = until;
}

// What a TCP would take is a bound; at each loss event it yields as well, so that the queue drains, and comes back
// the faster the more it is below the bound.
bool Pace::on_losses(const Losses& losses, Instant now) {
    if (!adaptive()) return false;
    const auto elapsed = std::chrono::duration<double>(now - changed_).count(), seconds = std::min(1.0, elapsed);
    // A rate that was not tried says nothing of the line (RFC 7661): a session that waits must not speed up.
    const bool tried = 2 * std::exchange(spent_, 0) >= rate_ * elapsed;
    changed_ = now;
    const auto before = rate_;
    if (losses.event || losses.share > kBearable) {
        const auto yields = searching_ ? std::max(losses.share, kYieldFirst) : std::max(2 * losses.share, kYield);
        rate_ *= std::max(0.5, 1 - yields);
        if (!searching_) rate_ = std::max(before / 2, std::min(rate_, losses.fair));
        searching_ = false;
    } else if (rate_ > losses.fair) {
        rate_ = std::max(losses.fair, rate_ * (1 - kYieldFirst * seconds));
    } else if (tried) {
        rate_ *= searching_ ? std::min(2.0, 1 + 5 * seconds)
                            : 1 + std::clamp(losses.fair / rate_ - 1, kLeastGrowth, kMostGrowth) * seconds;
    }
    rate_ = std::clamp(rate_, kLeast, kMost);
    if (options_.ceiling > 0) rate_ = std::min(rate_, static_cast<double>(options_.ceiling));
    return rate_ != before;
}

bool Pace::on_lag(double bits) {
    if (!adaptive()) return false;
    searching_ = false;
    const auto before = rate_;
    rate_ = std::max(kLeast, std::min(rate_, std::max(rate_ / 2, kDrain * bits)));
    return rate_ < before;
}

std::uint64_t Pace::rate() const {
    if (held_ == 0) return static_cast<std::uint64_t>(rate_);
    const auto free_for = std::max(0.0, std::chrono::duration<double>(ready_ - held_until_).count());
    return static_cast<std::uint64_t>(std::min(rate_, static_cast<double>(held_) * std::exp2(free_for)));
}

void Pace::spend(std::size_t bytes, Instant now) {
    spent_at_ = now;
    spent_last_ = bytes;
    spent_ += 8 * static_cast<double>(bytes);
    const auto rate = static_cast<double>(this->rate());
    due_ = std::max(due_, now - kCatchUp) + lasts(bytes, rate);
    ready_ = std::max(ready_, now - kBurst) + lasts(bytes, rate * kCatchUpBy);
    ready_ = std::max(ready_, due_);
}

}  // namespace slipway::multicast
