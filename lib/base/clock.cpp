// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/clock.hpp"

#include <ctime>

namespace slipway {

std::string iso8601(WallTime when) {
    std::time_t seconds = std::chrono::system_clock::to_time_t(when);
    std::tm parts{};
    ::gmtime_r(&seconds, &parts);
    char buffer[32];
    std::strftime(buffer, sizeof buffer, "%Y-%m-%dT%H:%M:%SZ", &parts);
    return buffer;
}

std::int64_t unix_milliseconds(WallTime when) {
    return std::chrono::duration_cast<std::chrono::milliseconds>(when.time_since_epoch()).count();
}

WallTime from_unix_milliseconds(std::int64_t milliseconds) {
    return WallTime(std::chrono::milliseconds(milliseconds));
}

}  // namespace slipway
