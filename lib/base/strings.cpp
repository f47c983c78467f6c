// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/strings.hpp"

#include <algorithm>
#include <charconv>

#include <fmt/format.h>

namespace slipway {

std::string_view trim(std::string_view text) {
    constexpr std::string_view blanks = " \t\r\n\v\f";
    auto first = text.find_first_not_of(blanks);
    if (first == std::string_view::npos) return {};
    return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

std::vector<std::string> split(std::string_view text, char separator) {
    std::vector<std::string> parts;
    for (;;) {
        auto at = text.find(separator);
        parts.emplace_back(text.substr(0, at));
        if (at == std::string_view::npos) return parts;
        text.remove_prefix(at + 1);
    }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
    return fmt::format("{}", fmt::join(parts, separator));
}

static char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string to_lower(std::string_view text) {
    std::string out(text);
    std::transform(out.begin(), out.end(), out.begin(), lower);
    return out;
}

bool iequals(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](char x, char y) { return lower(x) == lower(y); });
}

std::optional<std::uint64_t> parse_u64(std::string_view text) {
    std::uint64_t value = 0;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
    return value;
}

std::optional<std::uint64_t> parse_size(std::string_view text) {
    auto digits = text.find_first_not_of("0123456789");
    auto number = parse_u64(text.substr(0, digits));
    if (!number) return std::nullopt;
    auto unit = digits == std::string_view::npos ? std::string() : to_lower(text.substr(digits));
    constexpr std::string_view units = "bkmgtp";
    if (unit.empty()) unit = "b";
    auto power = units.find(unit[0]);
    auto rest = unit.substr(1);
    if (power == std::string_view::npos || (!rest.empty() && rest != "b" && rest != "ib")) return std::nullopt;
    auto shift = 10 * power;
    if (shift > 0 && *number >> (64 - shift) != 0) return std::nullopt;
    return *number << shift;
}

std::string human_bytes(std::uint64_t bytes) {
    static constexpr const char* units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double value = static_cast<double>(bytes);
    std::size_t unit = 0;
    while (value >= 1024 && unit < 6) {
        value /= 1024;
        ++unit;
    }
    return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, units[unit]);
}

std::string human_duration(std::uint64_t seconds) {
    if (seconds >= 3600) return fmt::format("{}h {:02}m", seconds / 3600, seconds / 60 % 60);
    if (seconds >= 60) return fmt::format("{}m {:02}s", seconds / 60, seconds % 60);
    return fmt::format("{}s", seconds);
}

std::string shell_quote(std::string_view text) {
    constexpr std::string_view safe = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=@%+,";
    if (!text.empty() && text.find_first_not_of(safe) == std::string_view::npos) return std::string(text);
    std::string out = "'";
    for (char c : text) {
        if (c == '\'') out += "'\\''";
        else out += c;
    }
    return out + "'";
}

std::size_t utf8_length(std::string_view text) {
    auto lead = static_cast<unsigned char>(text[0]);
    std::size_t length = lead < 0x80                   ? 1
                         : lead >= 0xc2 && lead < 0xe0 ? 2
                         : lead >= 0xe0 && lead < 0xf0 ? 3
                         : lead >= 0xf0 && lead < 0xf5 ? 4
                                                       : 0;
    if (length == 0 || length > text.size()) return 0;
    for (std::size_t i = 1; i < length; ++i)
        if ((static_cast<unsigned char>(text[i]) & 0xc0) != 0x80) return 0;
    auto second = length > 1 ? static_cast<unsigned char>(text[1]) : 0;
    if (lead == 0xe0 && second < 0xa0) return 0;
    if (lead == 0xed && second >= 0xa0) return 0;
    if (lead == 0xf0 && second < 0x90) return 0;
    if (lead == 0xf4 && second >= 0x90) return 0;
    if (lead == 0xc2 && second < 0xa0) return 0;  // C1 controls
    return length;
}

// What a terminal obeys or what turns the order of letters around: C1 controls, and Unicode's marks of direction, of
// lines and paragraphs.
static bool is_control(std::string_view utf8) {
    auto at = [&](std::size_t i) { return static_cast<unsigned char>(utf8[i]); };
    if (utf8.size() == 2) {
        auto c = static_cast<unsigned>((at(0) & 0x1f) << 6 | (at(1) & 0x3f));
        return c < 0xa0 || c == 0x61c;
    }
    if (utf8.size() != 3) return false;
    auto c = static_cast<unsigned>((at(0) & 0xf) << 12 | (at(1) & 0x3f) << 6 | (at(2) & 0x3f));
    return c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

std::string printable(std::string_view text) {
    std::string out;
    while (!text.empty()) {
        auto length = utf8_length(text);
        auto c = static_cast<unsigned char>(text[0]);
        if (length == 0 || c < 0x20 || c == 0x7f || is_control(text.substr(0, length))) {
            const auto taken = std::max<std::size_t>(length, 1);
            for (auto byte : text.substr(0, taken)) out += fmt::format("\\x{:02x}", static_cast<unsigned char>(byte));
            text.remove_prefix(taken);
        } else {
            out += text.substr(0, length);
            text.remove_prefix(length);
        }
    }
    return out;
}

}  // namespace slipway
