// SPDX-License-Identifier: GPL-3.0-or-later
// Progress as a value, and its one-line rendering with rate and ETA.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "lib/base/clock.hpp"

namespace slipway {

struct Progress {
    std::uint64_t done = 0;   // bytes of work
    std::uint64_t total = 0;  // 0: not known yet
    std::string what;         // "capturing sda"
};
using ProgressSink = std::function<void(const Progress&)>;

// "capturing sda  43 %  1.1 GiB of 2.6 GiB  210.0 MiB/s  ETA 7s"
std::string progress_line(const Progress& progress, std::chrono::milliseconds elapsed);

// Draws progress_line on stderr: rewriting one line on a terminal (5 a second), a plain line each
// 10 s in a log. finish() leaves the last line standing.
class ProgressPrinter {
public:
    explicit ProgressPrinter(const Clock& clock);
    void update(const Progress& progress);
    void finish();

private:
    const Clock& clock_;
    Instant started_, drawn_;
    Progress last_;
    bool terminal_, drawn_once_ = false;
};

}  // namespace slipway
