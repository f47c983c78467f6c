// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/fixup/steps.hpp"

#include <fmt/format.h>

#include "lib/base/strings.hpp"

namespace slipway::console {

namespace {

constexpr std::chrono::seconds kSilence{30};
constexpr std::size_t kWidth = 64;  // with the time on one line of a terminal

}  // namespace

std::string Steps::line(const std::string& time) const { return fmt::format("\r\x1b[K{} … {}", step_, time); }

void Steps::finish_line() {
    if (step_.empty()) return;
    const std::chrono::duration<double> took = now_() - begun_;
    if (terminal_) out_ << line(fmt::format("{:.1f} s\n", took.count())) << std::flush;
    step_.clear();
}

void Steps::begin(const std::string& step) {
    std::lock_guard lock(mutex_);
    finish_line();
    step_ = printable(step);
    if (terminal_ && step_.size() > kWidth) step_ = printable(step_.substr(0, kWidth));
    begun_ = now_();
    next_ = kSilence;
    out_ << step_ << (terminal_ ? " … " : " …\n") << std::flush;
}

void Steps::tick() {
    std::lock_guard lock(mutex_);
    if (step_.empty()) return;
    const auto time = std::chrono::duration_cast<std::chrono::seconds>(now_() - begun_);
    if (terminal_) {
        out_ << line(fmt::format("{} s", time.count())) << std::flush;
    } else if (time >= next_) {
        out_ << fmt::format("{}: {} s so far\n", step_, time.count()) << std::flush;
        while (next_ <= time) next_ *= 2;
    }
}

void Steps::end() {
    std::lock_guard lock(mutex_);
    finish_line();
}

SecondHand::SecondHand(Steps& steps)
    : thread_([this, &steps] {
          std::unique_lock lock(mutex_);
          while (!wake_.wait_for(lock, std::chrono::seconds(1), [this] { return ended_; })) steps.tick();
      }) {}

SecondHand::~SecondHand() {
    {
        std::lock_guard lock(mutex_);
        ended_ = true;
    }
    wake_.notify_all();
    thread_.join();
}

}  // namespace slipway::console
