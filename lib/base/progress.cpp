// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/progress.hpp"

#include <unistd.h>

#include <fmt/format.h>

#include "lib/base/strings.hpp"

namespace slipway {

std::string progress_line(const Progress& p, std::chrono::milliseconds elapsed) {
    double seconds = static_cast<double>(elapsed.count()) / 1000.0;
    double rate = seconds > 0.05 ? static_cast<double>(p.done) / seconds : 0;
    auto rate_text = human_bytes(static_cast<std::uint64_t>(rate)) + "/s";
    if (p.total == 0) return fmt::format("{}  {}  {}", p.what, human_bytes(p.done), rate_text);
    auto percent = static_cast<unsigned>(static_cast<double>(p.done) * 100.0 / static_cast<double>(p.total));
    auto line = fmt::format("{}  {:>3} %  {} of {}  {}", p.what, percent, human_bytes(p.done), human_bytes(p.total),
                            rate_text);
    if (rate > 0 && p.done < p.total)
        line += "  ETA " + human_duration(static_cast<std::uint64_t>(static_cast<double>(p.total - p.done) / rate) + 1);
    return line;
}

ProgressPrinter::ProgressPrinter(const Clock& clock)
    : clock_(clock), started_(clock.now()), drawn_(started_), terminal_(::isatty(STDERR_FILENO) == 1) {}

void ProgressPrinter::update(const Progress& progress) {
    auto now = clock_.now();
    if (progress.done < last_.done) started_ = now;  // other work has begun, with a rate of its own
    last_ = progress;
    auto interval = terminal_ ? std::chrono::milliseconds(200) : std::chrono::milliseconds(10'000);
    if (drawn_once_ && now - drawn_ < interval) return;
    drawn_ = now;
    drawn_once_ = true;
    auto line = progress_line(progress, std::chrono::duration_cast<std::chrono::milliseconds>(now - started_));
    line = terminal_ ? "\r" + line + "\x1b[K" : line + "\n";
    (void)!::write(STDERR_FILENO, line.data(), line.size());
}

void ProgressPrinter::finish() {
    if (!drawn_once_) return;
    auto elapsed = std::chrono::duration_cast<std::chrono::milliseconds>(clock_.now() - started_);
    auto line = progress_line(last_, elapsed);
    line = terminal_ ? "\r" + line + "\x1b[K\n" : line + "\n";
    (void)!::write(STDERR_FILENO, line.data(), line.size());
}

}  // namespace slipway
