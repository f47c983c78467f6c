// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/hal/setup_log.hpp"

#include <fmt/format.h>

#include "guest-fixup/text_lines.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

// The text between the next two quotes from `at`, which moves behind it; nullopt: there is none.
std::optional<std::string_view> quoted(std::string_view line, std::size_t& at) {
    const auto open = line.find('"', at);
    const auto close = open == std::string_view::npos ? open : line.find('"', open + 1);
    if (close == std::string_view::npos) return std::nullopt;
    at = close + 1;
    return line.substr(open + 1, close - open - 1);
}

bool names(std::string_view key, std::string_view installed) {
    const auto path = to_lower(trim(key));
    return path.ends_with("\\system32\\" + to_lower(installed));
}

// Source and checksum alone: what stands behind them stays.
std::string edited(std::string_view line, const SetupFile& file) {
    auto at = line.find('=');
    const auto source = quoted(line, at);
    if (!source || iequals(*source, file.source)) return std::string(line);
    const auto source_at = static_cast<std::size_t>(source->data() - line.data());
    std::string out(line.substr(0, source_at));
    out += file.source;
    const auto checksum = quoted(line, at);
    if (!checksum) return out + std::string(line.substr(source_at + source->size()));
    const auto checksum_at = static_cast<std::size_t>(checksum->data() - line.data());
    out += line.substr(source_at + source->size(), checksum_at - source_at - source->size());
    return out + fmt::format("{:x}", file.checksum) + std::string(line.substr(checksum_at + checksum->size()));
}

}  // namespace

std::string edit_setup_log(std::string_view text, const std::vector<SetupFile>& files) {
    return map_lines(text, [&](std::string_view line) {
        const auto equals = line.find('=');
        if (equals != std::string_view::npos)
            for (const auto& file : files)
                if (names(line.substr(0, equals), file.installed)) return edited(line, file);
        return std::string(line);
    });
}

}  // namespace slipway::fixup::windows
