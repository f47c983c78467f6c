// SPDX-License-Identifier: GPL-3.0-or-later
// What machines say they have heard by multicast, while their tasks run: for those who look.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "lib/channel/messages.hpp"

namespace slipway::server {

class HeardBook {
public:
    void note(const std::string& task, const channel::MulticastCounts& counts) {
        std::lock_guard hold(mutex_);
        book_[task] = counts;
    }
    void forget(const std::string& task) {
        std::lock_guard hold(mutex_);
        book_.erase(task);
    }
    std::optional<channel::MulticastCounts> of(const std::string& task) const {
        std::lock_guard hold(mutex_);
        const auto found = book_.find(task);
        return found == book_.end() ? std::nullopt : std::optional(found->second);
    }

private:
    mutable std::mutex mutex_;
    std::map<std::string, channel::MulticastCounts> book_;  // by task key
};

}  // namespace slipway::server
