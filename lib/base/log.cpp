// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/log.hpp"

#include <atomic>
#include <unistd.h>

#include "lib/base/clock.hpp"

namespace slipway::log {

namespace {
// The process's stderr is one per process too; these only say what goes there.
std::atomic<Level> threshold{Level::Info};
std::function<void(Level, std::string_view, std::string_view)> observer;
}  // namespace

std::string_view name_of(Level level) {
    switch (level) {
        case Level::Debug: return "debug";
        case Level::Info: return "info";
        case Level::Warning: return "warning";
        case Level::Error: return "error";
    }
    return "?";
}

void write(Level level, std::string_view room, std::string_view text) {
    if (level < threshold.load()) return;
    auto line = fmt::format("{} {} {}: {}\n", iso8601(std::chrono::system_clock::now()), name_of(level), room, text);
    (void)!::write(STDERR_FILENO, line.data(), line.size());
    if (observer) observer(level, room, text);
}

void set_threshold(Level level) { threshold = level; }

void set_observer(std::function<void(Level, std::string_view, std::string_view)> o) { observer = std::move(o); }

}  // namespace slipway::log
