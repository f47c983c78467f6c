// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/network/text.hpp"

#include <algorithm>
#include <cctype>
#include <optional>

#include "guest-fixup/edits.hpp"

namespace slipway::fixup {

namespace {

constexpr std::string_view kBlank = " \t\r\n\f\v";
constexpr std::size_t kMacLength = 17;

bool is_hex(char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0; }
bool is_word(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0; }

bool looks_like_mac(std::string_view text) {
    if (text.size() < kMacLength || (text[2] != ':' && text[2] != '-')) return false;
    for (std::size_t i = 0; i < kMacLength; ++i)
        if (i % 3 == 2 ? text[i] != text[2] : !is_hex(text[i])) return false;
    return true;
}

// InfiniBand addresses and DUIDs are longer rows of pairs.
bool stands_alone(std::string_view text, std::size_t at) {
    const char between = text[at + 2];
    const auto end = at + kMacLength;
    if (end < text.size() && is_word(text[end])) return false;
    if (end + 1 < text.size() && text[end] == between && is_hex(text[end + 1])) return false;
    if (at == 0) return true;
    if (is_word(text[at - 1])) return false;
    const bool pair_before = at >= 3 && text[at - 1] == between && is_hex(text[at - 2]) && is_hex(text[at - 3]);
    return !pair_before || (at >= 4 && is_word(text[at - 4]));  // "mac:" is no pair
}

// [set] of a pattern at its '[': whether c is in it, and where it ends; nothing when it has no end.
struct SetMatch {
    bool in = false;
    std::size_t end = 0;
};
std::optional<SetMatch> match_set(std::string_view pattern, std::size_t at, char c) {
    SetMatch match;
    auto i = at + 1;
    const bool negated = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
    if (negated) ++i;
    for (const auto first = i; i < pattern.size(); ++i) {
        if (pattern[i] == ']' && i != first) {
            match.in = match.in != negated;
            match.end = i + 1;
            return match;
        }
        if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
            if (c >= pattern[i] && c <= pattern[i + 2]) match.in = true;
            i += 2;
        } else if (pattern[i] == c) match.in = true;
    }
    return std::nullopt;
}

}  // namespace

Span trimmed(Span span) {
    const auto begin = span.text.find_first_not_of(kBlank);
    if (begin == std::string_view::npos) return span.from(span.text.size());
    return span.from(begin, span.text.find_last_not_of(kBlank) + 1 - begin);
}

Span unquoted(Span span) {
    span = trimmed(span);
    const auto& text = span.text;
    if (text.size() >= 2 && (text.front() == '"' || text.front() == '\'') && text.back() == text.front())
        return trimmed(span.from(1, text.size() - 2));
    return span;
}

std::vector<Span> words_of(Span span) {
    std::vector<Span> words;
    std::size_t at = 0;
    while ((at = span.text.find_first_not_of(kBlank, at)) != std::string_view::npos) {
        const auto end = std::min(span.text.find_first_of(kBlank, at), span.text.size());
        words.push_back(span.from(at, end - at));
        at = end;
    }
    return words;
}

std::vector<Span> lines_of(std::string_view text) {
    std::vector<Span> lines;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = std::min(text.find('\n', at), text.size());
        if (end - at <= kLongestLine) lines.push_back({at, text.substr(at, end - at)});
        at = end + 1;
    }
    return lines;
}

std::vector<std::vector<Span>> worded_lines(std::string_view text) {
    std::vector<std::vector<Span>> all;
    bool goes_on = false;
    for (auto line : lines_of(text)) {
        line = trimmed(line);
        const bool more = line.text.ends_with('\\');
        if (more) line = line.from(0, line.text.size() - 1);
        if (!goes_on && line.text.starts_with('#')) continue;
        auto words = words_of(line);
        if (goes_on) all.back().insert(all.back().end(), words.begin(), words.end());
        else all.push_back(std::move(words));
        goes_on = more;
    }
    std::erase_if(all, [](const auto& words) { return words.empty(); });
    return all;
}

std::vector<Setting> settings_of(std::string_view text) {
    std::vector<Setting> settings;
    std::string_view section;
    for (auto line : lines_of(text)) {
        line = trimmed(line);
        if (line.text.empty() || line.text[0] == '#' || line.text[0] == ';') continue;
        if (line.text[0] == '[' && line.text.back() == ']') {
            section = line.text.substr(1, line.text.size() - 2);
            continue;
        }
        const auto equals = line.text.find('=');
        if (equals == std::string_view::npos) continue;
        settings.push_back({section, trimmed(line.from(0, equals)), trimmed(line.from(equals + 1))});
    }
    return settings;
}

std::vector<MacUse> macs_in(Span span) {
    std::vector<MacUse> uses;
    const auto& text = span.text;
    for (std::size_t at = 0; at + kMacLength <= text.size(); ++at) {
        if (!looks_like_mac(text.substr(at)) || !stands_alone(text, at)) continue;
        const auto mac = MacAddress::parse(text.substr(at, kMacLength));
        if (!mac) continue;
        uses.push_back({span.at + at, kMacLength, *mac});
        at += kMacLength - 1;
    }
    return uses;
}

std::string move_macs(std::string_view text, const std::vector<MacUse>& uses, const MacMap& new_by_old) {
    std::string out;
    std::size_t done = 0;
    for (const auto& use : uses) {
        const auto found = new_by_old.find(use.mac);
        if (found == new_by_old.end() || found->second == use.mac || use.at < done) continue;
        auto word = found->second.text();
        if (text[use.at + 2] == '-') std::replace(word.begin(), word.end(), ':', '-');
        out.append(text.substr(done, use.at - done)).append(word);
        done = use.at + use.length;
    }
    return out.append(text.substr(done));
}

bool is_pattern(std::string_view text) { return text.find_first_of("*?[") != std::string_view::npos; }

// Goes back to the last '*' only, so that no pattern costs more than pattern times name.
bool glob_matches(std::string_view pattern, std::string_view name) {
    std::size_t p = 0, n = 0, star = std::string_view::npos, star_n = 0;
    while (n < name.size()) {
        std::optional<SetMatch> set;
        if (p < pattern.size() && pattern[p] == '[') set = match_set(pattern, p, name[n]);
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            star_n = n;
        } else if (set ? set->in : p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n])) {
            p = set ? set->end : p + 1;
            ++n;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            n = ++star_n;
        } else return false;
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

}  // namespace slipway::fixup
