// SPDX-License-Identifier: GPL-3.0-or-later
// A TCP that has more to send than the line carries, in simulated time: slow start, one packet more a round trip, half
// at a loss event (Reno with SACK). Its acknowledgements are not lost.
#pragma once

#include <deque>
#include <functional>
#include <limits>

#include "lib/base/clock.hpp"

namespace slipway::multicast::test {

class TcpFlow {
public:
    static constexpr std::size_t kBytes = 1500;
    // A packet of so many bytes into the line, at `at`; false: its queue is full. `at` becomes when it is out of it.
    using Line = std::function<bool(std::size_t bytes, Instant& at)>;
    explicit TcpFlow(std::chrono::microseconds delay) : delay_(delay) {}

    void turn(Instant now, const Line& line) {
        while (!answers_.empty() && answers_.front().at <= now) {
            on_answer(answers_.front());
            answers_.pop_front();
        }
        while (static_cast<double>(answers_.size()) < window_) {
            auto at = now;
            const bool lost = !line(kBytes, at);
            // That one is missing says the acknowledgement of what came after it.
            const auto comes = std::max(at + 2 * delay_, answers_.empty() ? now : answers_.back().at);
            answers_.push_back({comes, next_++, lost});
        }
    }
    Instant deadline() const { return answers_.front().at; }
    std::uint64_t bytes() const { return acknowledged_ * kBytes; }
    std::uint64_t events = 0;

private:
    struct Answer {
        Instant at;
        std::uint64_t number;
        bool lost;
    };
    void on_answer(const Answer& answer) {
        if (!answer.lost) {
            ++acknowledged_;
            window_ += window_ < threshold_ ? 1 : 1 / window_;
        } else if (answer.number >= recover_) {
            ++events;
            window_ = threshold_ = std::max(2.0, window_ / 2);
            recover_ = next_;
        }
    }
    std::chrono::microseconds delay_;
    std::deque<Answer> answers_;
    double window_ = 2, threshold_ = std::numeric_limits<double>::max();
    std::uint64_t next_ = 0, recover_ = 0, acknowledged_ = 0;
};

}  // namespace slipway::multicast::test
