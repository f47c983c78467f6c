// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/table.hpp"

#include <algorithm>

#include "lib/base/strings.hpp"

namespace slipway::console {

namespace {

// Columns a terminal uses for valid UTF-8: code points, which is right for the texts we show.
std::size_t width(const std::string& text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xc0) != 0x80; }));
}

}  // namespace

std::string Table::text() const {
    std::vector<std::vector<std::string>> lines{header_};
    for (const auto& row : rows_) {
        auto& line = lines.emplace_back();
        for (const auto& cell : row) line.push_back(printable(cell));
        line.resize(header_.size());
    }
    std::vector<std::size_t> widths(header_.size());
    for (const auto& line : lines)
        for (std::size_t i = 0; i < line.size(); ++i) widths[i] = std::max(widths[i], width(line[i]));
    std::string out;
    for (const auto& line : lines) {
        std::string text;
        for (std::size_t i = 0; i < line.size(); ++i)
            text += line[i] + std::string(widths[i] - width(line[i]) + 2, ' ');
        text.erase(text.find_last_not_of(' ') + 1);
        out += text + "\n";
    }
    return out;
}

}  // namespace slipway::console
