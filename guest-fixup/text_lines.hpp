// SPDX-License-Identifier: GPL-3.0-or-later
// Lines and lists of configuration files, as the text transformers walk them. Pure.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace slipway::fixup {

// Longer lines of a guest's files pass through unread: none is meant so, and std::regex recurses for each character.
inline constexpr std::size_t kLongestLine = 4096;

// Calls change(line) for each line without its newline, but for endless ones; the result keeps the line ends.
template <typename Change>
std::string map_lines(std::string_view text, Change&& change) {
    std::string out;
    while (!text.empty()) {
        const auto end = text.find('\n');
        const auto line = text.substr(0, end);
        if (line.size() > kLongestLine) out += line;
        else out += change(line);
        if (end == std::string_view::npos) break;
        out += '\n';
        text.remove_prefix(end + 1);
    }
    return out;
}

// The blank-separated words of a line; none for comments and empty lines.
std::vector<std::string_view> words_of(std::string_view line);
// The line, its indentation kept, as a comment of ours.
std::string commented_out(std::string_view line);
std::string_view without_quotes(std::string_view text);

// How a list that is not there yet is written: VARIABLE="a b" or VARIABLE=(a b).
enum class ListSyntax { Quoted, Array };
// Shell assignments VARIABLE="a b" or VARIABLE=(a b): the words that none of them holds are added to the last one, or
// to a line of its own when that is written in a way we do not edit.
std::string add_to_list(std::string_view text, std::string_view variable, const std::vector<std::string>& words,
                        ListSyntax syntax);
// The words of all assignments to the variable.
std::vector<std::string> words_of_list(std::string_view text, std::string_view variable);

}  // namespace slipway::fixup
