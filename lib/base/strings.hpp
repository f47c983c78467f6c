// SPDX-License-Identifier: GPL-3.0-or-later
// Text helpers that more than one room needs.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slipway {

std::string_view trim(std::string_view text);
std::vector<std::string> split(std::string_view text, char separator);  // keeps empty fields
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string to_lower(std::string_view text);           // ASCII
bool iequals(std::string_view a, std::string_view b);  // ASCII
std::optional<std::uint64_t> parse_u64(std::string_view text);   // decimal, whole text
std::optional<std::uint64_t> parse_size(std::string_view text);  // "200M", "4GiB", "512": powers of 1024
std::string human_bytes(std::uint64_t bytes);          // "1.4 GiB"
std::string human_duration(std::uint64_t seconds);     // "3m 20s"
std::string shell_quote(std::string_view text);        // one POSIX shell word
// Length of the valid UTF-8 sequence at the start of a non-empty text; 0 when there is none (C1
// control characters count as none).
std::size_t utf8_length(std::string_view text);
// Replaces bytes that are not printable ASCII or valid UTF-8 text, so that text from hostile
// packets or files cannot drive a terminal or a log.
std::string printable(std::string_view text);

}  // namespace slipway
