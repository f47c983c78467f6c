// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/flood.hpp"

#include <algorithm>
#include <utility>

namespace slipway {

FloodGuard::Verdict FloodGuard::on_request(std::uint64_t sender, Instant now) {
    auto found = by_sender_.find(sender);
    if (found == by_sender_.end()) {
        if (buckets_.size() >= limits_.known && !buckets_.empty()) {
            by_sender_.erase(buckets_.back().sender);
            buckets_.pop_back();
        }
        buckets_.push_front({sender, limits_.burst, now});
        by_sender_[sender] = buckets_.begin();
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

}  // namespace slipway
