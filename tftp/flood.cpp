// SPDX-License-Identifier: GPL-3.0-or-later
#include "tftp/flood.hpp"

#include <algorithm>
#include <utility>

namespace slipway::tftp {

FloodGuard::Verdict FloodGuard::on_request(Ipv4Address from, Instant now) {
    auto found = by_address_.find(from.value);
    if (found == by_address_.end()) {
        if (buckets_.size() >= limits_.addresses && !buckets_.empty()) {
            by_address_.erase(buckets_.back().address.value);
            buckets_.pop_back();
        }
        buckets_.push_front({from, limits_.burst, now});
        by_address_[from.value] = buckets_.begin();
    } else {
        buckets_.splice(buckets_.begin(), buckets_, found->second);
    }
    auto& bucket = buckets_.front();
    std::chrono::duration<double> since = now - bucket.filled;
    bucket.tokens = std::min(limits_.burst, bucket.tokens + limits_.rate * since.count());
    bucket.filled = now;
    if (bucket.tokens < 1) return std::exchange(bucket.said, true) ? Verdict::Refuse : Verdict::RefuseAndSay;
    bucket.tokens -= 1;
    if (bucket.tokens >= limits_.burst / 2) bucket.said = false;  // not at each drop of a full bucket
    return Verdict::Admit;
}

}  // namespace slipway::tftp
