// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/pace.hpp"

#include <algorithm>
#include <utility>

namespace slipway::multicast {

namespace {

constexpr double kLeast = 1e6, kMost = 1e11;
constexpr double kBearableAlone = 0.1;  // of one or two receivers, whose own loss cannot be told from a common one
constexpr double kDrain = 0.85;         // of what they take: what waits in their buffers is to become less
constexpr std::chrono::milliseconds kBurst{4};
// A sender that was not given the processor catches up, at little above the rate: the line was idle meanwhile, so its
// queue has room for that. More would be a burst for switches.
constexpr std::chrono::milliseconds kCatchUp{250};
constexpr double kCatchUpBy = 1.25;
constexpr std::size_t kKept = 512, kYoung = 32, kLeastSamples = 8;

}  // namespace

Pace::Pace(PaceOptions options, Instant now) : options_(options), changed_(now), ready_(now), due_(now) {
    rate_ = static_cast<double>(adaptive() ? options_.first : options_.ceiling);
    set_ceiling(options_.ceiling);
}

void Pace::set_ceiling(std::uint64_t bits) {
    options_.ceiling = bits;
    if (!adaptive()) rate_ = static_cast<double>(bits);
    else if (bits > 0) rate_ = std::min(rate_, static_cast<double>(bits));
}

void Pace::hold_to(std::uint64_t bits, Instant now) {
    held_ = bits;
    held_until_ = now + std::chrono::seconds(1);
}

bool Pace::on_common_loss(double share, Instant now) {
    if (!adaptive()) return false;
    const auto elapsed = std::chrono::duration<double>(now - changed_).count(), seconds = std::min(1.0, elapsed);
    // A rate that was not tried says nothing of the line (RFC 7661): a session that waits must not speed up.
    const bool tried = 2 * std::exchange(spent_, 0) >= rate_ * elapsed;
    changed_ = now;
    const auto before = rate_;
    if (share > kBearable) {
        searching_ = false;
        rate_ *= std::max(0.5, 1 - std::max(share, 0.1));
    } else if (tried) {
        rate_ *= searching_ ? std::min(2.0, 1 + 5 * seconds) : 1 + 0.1 * seconds;
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
    auto rate = static_cast<std::uint64_t>(rate_);
    return held_ > 0 && ready_ < held_until_ ? std::min(rate, held_) : rate;
}

void Pace::spend(std::size_t bytes, Instant now) {
    const auto lasts = [&](double rate) {
        return std::chrono::nanoseconds(
            static_cast<std::int64_t>(8e9 * static_cast<double>(bytes) / std::max(rate, 1.0)));
    };
    spent_ += 8 * static_cast<double>(bytes);
    const auto rate = static_cast<double>(this->rate());
    due_ = std::max(due_, now - kCatchUp) + lasts(rate);
    ready_ = std::max(ready_, now - kBurst) + lasts(rate * kCatchUpBy);
    ready_ = std::max(ready_, due_);
}

void CommonLoss::add(std::uint64_t newest, std::uint64_t lost, unsigned fresh) {
    for (unsigned i = std::min(fresh, 64u); i-- > 0;) {
        if (newest < i) continue;
        const auto index = newest - i;
        if (index < done_) continue;
        if (samples_.empty()) samples_.push_back({index});
        if (index < samples_.front().index) continue;
        if (index > samples_.back().index + kKept) samples_.assign(1, {index});
        while (samples_.back().index < index) samples_.push_back({samples_.back().index + 1});
        while (samples_.size() > kKept) samples_.pop_front();
        auto& sample = samples_[index - samples_.front().index];
        ++sample.heard;
        sample.lost += lost >> i & 1;
    }
}

std::optional<double> CommonLoss::share(std::size_t receivers) {
    const auto enough = std::max<std::size_t>(1, receivers * 3 / 4);
    std::size_t count = 0, common = 0, taken = 0;
    for (std::size_t i = 0; i < samples_.size(); ++i) {
        const auto& sample = samples_[i];
        if (sample.heard >= enough) {
            ++count;
            common += sample.lost * 4 >= sample.heard * 3;
            taken = i + 1;
        } else if (samples_.size() - i < kYoung) {
            break;  // others will tell of it
        }
    }
    if (count < kLeastSamples) return std::nullopt;
    samples_.erase(samples_.begin(), samples_.begin() + static_cast<std::ptrdiff_t>(taken));
    if (!samples_.empty()) done_ = samples_.front().index;
    const auto share = static_cast<double>(common) / static_cast<double>(count);
    return receivers >= 3 || share > kBearableAlone ? share : 0;
}

void CommonLoss::forget_before(std::uint64_t index) {
    while (!samples_.empty() && samples_.front().index < index) samples_.pop_front();
    done_ = std::max(done_, index);
}

}  // namespace slipway::multicast
