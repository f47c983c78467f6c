// SPDX-License-Identifier: GPL-3.0-or-later
// The steps of a repair for who waits for it. On a terminal each is one line, with its time as it goes on; in a log a
// line as it begins, and, where it goes on for long, seldom another: after 30 s, and whenever that has doubled.
#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <mutex>
#include <ostream>
#include <string>
#include <thread>

namespace slipway::console {

class Steps {
public:
    using Clock = std::chrono::steady_clock;
    Steps(std::ostream& out, bool terminal, std::function<Clock::time_point()> now = Clock::now)
        : out_(out), terminal_(terminal), now_(std::move(now)) {}
    ~Steps() { end(); }
    void begin(const std::string& step);
    void end();
    // Shows the time; about every second (SecondHand). From any thread.
    void tick();

private:
    void finish_line();
    std::string line(const std::string& time) const;

    std::mutex mutex_;
    std::ostream& out_;
    bool terminal_;
    std::function<Clock::time_point()> now_;
    std::string step_;  // "": none is open
    Clock::time_point begun_;
    std::chrono::seconds next_{0};  // in a log, from the step's begin
};

// Ticks once a second for as long as it lives.
class SecondHand {
public:
    explicit SecondHand(Steps& steps);
    ~SecondHand();

private:
    std::mutex mutex_;
    std::condition_variable wake_;
    bool ended_ = false;
    std::thread thread_;
};

}  // namespace slipway::console
