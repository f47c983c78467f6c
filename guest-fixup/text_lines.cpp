// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/text_lines.hpp"

#include <algorithm>
#include <optional>

#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr std::string_view kBlanks = " \t\r";

// One assignment to a list: where its words are, and how it ends.
struct Assignment {
    std::size_t end = 0;       // of the words
    bool on_one_line = false;  // closed by its own delimiter on the line it began on
    std::vector<std::string> words;
};

constexpr std::string_view kBetweenWords = " \t\r\n\\\"'";

std::vector<std::string> split_words(std::string_view text) {
    std::vector<std::string> words;
    for (std::size_t at = 0; (at = text.find_first_not_of(kBetweenWords, at)) != std::string_view::npos;) {
        const auto end = std::min(text.find_first_of(kBetweenWords, at), text.size());
        words.emplace_back(text.substr(at, end - at));
        at = end;
    }
    return words;
}

// From behind the "(" of an array to its ")": a comment within hides both words and ")".
struct Array {
    std::size_t end = std::string_view::npos;
    std::vector<std::string> words;
};
Array read_array(std::string_view text, std::size_t at) {
    Array out;
    char quote = 0;
    for (bool between = true; at < text.size();) {
        const char c = text[at];
        if (!quote && c == ')') {
            out.end = at;
            return out;
        }
        if (!quote && between && c == '#') {
            at = std::min(text.find('\n', at), text.size());
            continue;
        }
        if (c == quote) quote = 0;
        else if (!quote && (c == '"' || c == '\'')) quote = c;
        const bool part_of_word = kBetweenWords.find(c) == std::string_view::npos;
        if (part_of_word && between) out.words.emplace_back();
        if (part_of_word) out.words.back() += c;
        between = !part_of_word;
        ++at;
    }
    return out;
}

std::optional<std::vector<Assignment>> assignments_of(std::string_view text, std::string_view variable) {
    std::vector<Assignment> found;
    for (std::size_t line = 0; line < text.size();) {
        const auto line_end = std::min(text.find('\n', line), text.size());
        auto rest = text.substr(line, line_end - line);
        const auto blanks = std::min(rest.find_first_not_of(kBlanks), rest.size());
        rest.remove_prefix(blanks);
        std::size_t next = line_end + 1;
        if (rest.size() <= kLongestLine && rest.starts_with(variable)) {
            auto value = rest.substr(variable.size());
            if (value.starts_with("+=")) value.remove_prefix(2);
            else if (value.starts_with("=")) value.remove_prefix(1);
            else value = {};
            if (value.data() && (!value.empty() || rest.size() > variable.size())) {
                const auto begin = static_cast<std::size_t>(value.data() - text.data());
                const char open = value.empty() ? ' ' : value.front();
                if (open == '(' || open == '"' || open == '\'') {
                    // A list that never ends: the shell would not read this file either.
                    const auto within = text.substr(0, begin + 1 + 16 * kLongestLine);
                    auto array = open == '(' ? read_array(within, begin + 1) : Array{within.find(open, begin + 1), {}};
                    const auto end = array.end;
                    if (end == text.npos) return std::nullopt;
                    if (open != '(') array.words = split_words(text.substr(begin + 1, end - begin - 1));
                    found.push_back({end, end < line_end, std::move(array.words)});
                    next = std::max(next, std::min(text.find('\n', end), text.size()) + 1);
                } else {
                    found.push_back({0, false, split_words(value.substr(0, value.find('#')))});
                }
            }
        }
        line = next;
    }
    return found;
}

}  // namespace

std::vector<std::string_view> words_of(std::string_view line) {
    std::vector<std::string_view> words;
    std::size_t at = 0;
    while ((at = line.find_first_not_of(kBlanks, at)) != std::string_view::npos) {
        if (words.empty() && line[at] == '#') return {};
        const auto end = std::min(line.find_first_of(kBlanks, at), line.size());
        words.push_back(line.substr(at, end - at));
        at = end;
    }
    return words;
}

std::string commented_out(std::string_view line) { return "# slipway: " + std::string(line); }

std::string_view without_quotes(std::string_view text) {
    if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
        return text.substr(1, text.size() - 2);
    return text;
}

std::vector<std::string> words_of_list(std::string_view text, std::string_view variable) {
    std::vector<std::string> words;
    for (auto& assignment : assignments_of(text, variable).value_or(std::vector<Assignment>{}))
        words.insert(words.end(), assignment.words.begin(), assignment.words.end());
    return words;
}

std::string add_to_list(std::string_view text, std::string_view variable, const std::vector<std::string>& words,
                        ListSyntax syntax) {
    const auto known = words_of_list(text, variable);
    std::vector<std::string> missing;
    for (const auto& word : words)
        if (std::find(known.begin(), known.end(), word) == known.end()) missing.push_back(word);
    std::string out(text);
    const auto assignments = assignments_of(text, variable);
    if (missing.empty() || !assignments) return out;
    if (!assignments->empty() && assignments->back().on_one_line) {
        const auto& last = assignments->back();
        return out.insert(last.end, (last.words.empty() ? "" : " ") + join(missing, " "));
    }
    if (!out.empty() && out.back() != '\n') out += '\n';
    const std::string name(variable);
    if (syntax == ListSyntax::Array) return out + name + "+=(" + join(missing, " ") + ")\n";
    return out + name + "=\"" + (assignments->empty() ? "" : "$" + name + " ") + join(missing, " ") + "\"\n";
}

}  // namespace slipway::fixup
