// SPDX-License-Identifier: GPL-3.0-or-later
#include "tftp/retry.hpp"

#include <algorithm>

namespace slipway::tftp {

using std::chrono::milliseconds;

void RetryTimer::fix(std::chrono::seconds timeout) {
    fixed_ = true;
    wait_ = timeout;
}

void RetryTimer::measured(Instant::duration round_trip) {
    if (!smooth_) {
        smooth_ = round_trip;
        variation_ = round_trip / 2;
    } else {
        auto off = *smooth_ > round_trip ? *smooth_ - round_trip : round_trip - *smooth_;
        variation_ += (off - variation_) / 4;
        *smooth_ += (round_trip - *smooth_) / 8;
    }
    if (fixed_) return;
    auto wait = std::chrono::ceil<milliseconds>(*smooth_ + 4 * variation_);
    wait_ = std::clamp(wait, limits_.least_wait, std::max(limits_.least_wait, limits_.timeout));
}

void RetryTimer::progress() {
    left_ = limits_.retries;
    tries_ = 0;
}

void RetryTimer::tried() {
    if (left_ > 0) --left_;
    ++tries_;
}

milliseconds RetryTimer::wait() const {
    auto most = std::max(limits_.longest_wait, wait_);
    auto wait = wait_;
    for (unsigned i = 0; i < tries_ && wait < most; ++i) wait *= 2;
    return std::min(wait, most);
}

}  // namespace slipway::tftp
