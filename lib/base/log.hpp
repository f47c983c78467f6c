// SPDX-License-Identifier: GPL-3.0-or-later
// Plain log lines on stderr: "2026-11-23T20:04:11Z warning room: text". One write(2) a line, so
// lines of several threads or processes never mix. Hostile text goes through printable() first.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include <fmt/format.h>

namespace slipway::log {

enum class Level { Debug, Info, Warning, Error };

std::string_view name_of(Level level);
void write(Level level, std::string_view room, std::string_view text);
void set_threshold(Level level);                        // default Info
// A second reader of all lines (the agent ships them to its controller). Empty: none. Set once
// from main before threads start.
void set_observer(std::function<void(Level, std::string_view room, std::string_view text)> observer);

template <typename... Args>
void debug(std::string_view room, fmt::format_string<Args...> f, Args&&... args) {
    write(Level::Debug, room, fmt::format(f, std::forward<Args>(args)...));
}
template <typename... Args>
void info(std::string_view room, fmt::format_string<Args...> f, Args&&... args) {
    write(Level::Info, room, fmt::format(f, std::forward<Args>(args)...));
}
template <typename... Args>
void warning(std::string_view room, fmt::format_string<Args...> f, Args&&... args) {
    write(Level::Warning, room, fmt::format(f, std::forward<Args>(args)...));
}
template <typename... Args>
void error(std::string_view room, fmt::format_string<Args...> f, Args&&... args) {
    write(Level::Error, room, fmt::format(f, std::forward<Args>(args)...));
}

}  // namespace slipway::log
