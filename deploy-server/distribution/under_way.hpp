// SPDX-License-Identifier: GPL-3.0-or-later
// Answers by unicast that connections hold until their machine has read them. What they take of memory has a bound,
// whoever does not read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <deque>
#include <string>

namespace slipway::server {

class UnderWay {
public:
    // Of one task: an agent that connects again may ask while its former connection is still seen as open.
    static constexpr std::size_t kOfOne = 2;
    static constexpr std::size_t kMostBytes = std::size_t{256} << 20;  // of all together

    bool may_ask(const std::string& task) const {
        return static_cast<std::size_t>(
                   std::count_if(all_.begin(), all_.end(), [&](const auto& a) { return a.task == task; })) < kOfOne;
    }
    bool has_room(std::size_t bytes) const { return all_.empty() || bytes_ + bytes <= kMostBytes; }
    void begin(std::string task, std::string asker, std::size_t bytes) {
        bytes_ += bytes;
        all_.push_back({std::move(task), std::move(asker), bytes});
    }
    void end(const std::string& asker) {  // one of its answers; the oldest is as good as any
        const auto found = std::find_if(all_.begin(), all_.end(), [&](const auto& a) { return a.asker == asker; });
        if (found == all_.end()) return;
        bytes_ -= found->bytes;
        all_.erase(found);
    }

private:
    struct Answer {
        std::string task, asker;
        std::size_t bytes = 0;
    };
    std::deque<Answer> all_;
    std::size_t bytes_ = 0;
};

}  // namespace slipway::server
