// SPDX-License-Identifier: GPL-3.0-or-later
// Lines of a guest's text files.
#pragma once

#include <string>
#include <string_view>

namespace slipway::fixup {

// Calls change(line) for each line without its newline; the result keeps the line ends. Lines over 4096 bytes pass
// through unread: none is meant so.
template <typename Change>
std::string map_lines(std::string_view text, Change&& change) {
    std::string out;
    while (!text.empty()) {
        const auto end = text.find('\n');
        const auto line = text.substr(0, end);
        if (line.size() > 4096) out += line;
        else out += change(line);
        if (end == std::string_view::npos) break;
        out += '\n';
        text.remove_prefix(end + 1);
    }
    return out;
}

}  // namespace slipway::fixup
