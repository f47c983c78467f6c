// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/inf.hpp"

#include <algorithm>
#include <utility>

#include "guest-fixup/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

constexpr std::size_t kMostLines = 50'000, kMostSections = 4'000, kMostValues = 128, kLongestLine = 16'384;

void put_utf8(std::string& out, std::uint32_t c) {
    if (c < 0x80) {
        out += static_cast<char>(c);
    } else if (c < 0x800) {
        out += static_cast<char>(0xc0 | (c >> 6));
        out += static_cast<char>(0x80 | (c & 0x3f));
    } else {
        out += static_cast<char>(0xe0 | (c >> 12));
        out += static_cast<char>(0x80 | ((c >> 6) & 0x3f));
        out += static_cast<char>(0x80 | (c & 0x3f));
    }
}

std::string from_utf16(std::string_view bytes) {
    std::string out;
    for (std::size_t i = 0; i + 1 < bytes.size(); i += 2) {
        const auto unit = static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i]) |
                                                     (static_cast<unsigned char>(bytes[i + 1]) << 8));
        // Names that matter here are of the basic plane.
        put_utf8(out, unit >= 0xd800 && unit < 0xe000 ? 0xfffd : unit);
    }
    return out;
}

bool is_utf8(std::string_view text) {
    while (!text.empty()) {
        const auto c = static_cast<unsigned char>(text[0]);
        const auto length = c < 0x80 ? 1 : utf8_length(text);
        if (length == 0) return false;
        text.remove_prefix(length);
    }
    return true;
}

std::string text_of(std::string_view bytes) {
    if (bytes.starts_with("\xff\xfe")) return from_utf16(bytes.substr(2));
    if (bytes.starts_with("\xef\xbb\xbf")) return std::string(bytes.substr(3));
    if (bytes.size() >= 4 && bytes[0] != 0 && bytes[1] == 0 && bytes[3] == 0) return from_utf16(bytes);
    if (is_utf8(bytes)) return std::string(bytes);
    std::string out;
    for (const char c : bytes) put_utf8(out, static_cast<unsigned char>(c));
    return out;
}

// A line without its comment; whether it goes on in the next is in `more`.
std::string_view bare(std::string_view line, bool& more) {
    bool quoted = false;
    for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '"') quoted = !quoted;
        else if (line[i] == ';' && !quoted) {
            line = line.substr(0, i);
            break;
        }
    }
    line = trim(line);
    more = line.ends_with('\\');
    if (more) line.remove_suffix(1);
    return line;
}

// key = value, value, …; quotes taken off, a doubled one within them is one.
InfLine read_line(std::string_view line) {
    InfLine out;
    std::string word;
    bool quoted = false, was_quoted = false, have_key = false;
    auto finish = [&] {
        auto text = was_quoted ? std::move(word) : std::string(trim(word));
        word.clear();
        was_quoted = false;
        return text;
    };
    for (std::size_t i = 0; i < line.size() && out.values.size() < kMostValues; ++i) {
        const char c = line[i];
        if (c == '"') {
            if (quoted && i + 1 < line.size() && line[i + 1] == '"') {
                word += '"';
                ++i;
            } else {
                if (!quoted && trim(word).empty()) word.clear();
                quoted = !quoted;
                was_quoted = true;
            }
        } else if (quoted) word += c;
        else if (c == ',') out.values.push_back(finish());
        else if (c == '=' && !have_key && out.values.empty()) {
            out.key = finish();
            have_key = true;
        } else if (!was_quoted || (c != ' ' && c != '\t')) word += c;
    }
    if (out.values.size() < kMostValues) out.values.push_back(finish());
    return out;
}

}  // namespace

Result<Inf> Inf::parse(std::string_view bytes) {
    if (bytes.size() > kLongestInf) return make_error(errors::kDrivers, "an INF file of {} bytes", bytes.size());
    const auto text = text_of(bytes);
    Inf inf;
    std::vector<InfLine>* section = nullptr;
    std::size_t lines = 0;
    std::string joined;
    std::string_view rest = text;
    while (!rest.empty()) {
        const auto end = rest.find('\n');
        bool more = false;
        joined += bare(rest.substr(0, end), more);
        rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
        if (joined.size() > kLongestLine || ++lines > kMostLines)
            return make_error(errors::kDrivers, "an INF file with a line of more than {} bytes, or too many lines",
                              kLongestLine);
        if (more && !rest.empty()) continue;
        const auto line = std::exchange(joined, {});
        if (line.empty()) continue;
        if (line[0] == '[') {
            const auto close = line.find(']');
            if (close == std::string::npos) return make_error(errors::kDrivers, "an INF file with a cut section name");
            if (inf.sections_.size() >= kMostSections)
                return make_error(errors::kDrivers, "an INF file with more than {} sections", kMostSections);
            section = &inf.sections_[to_lower(trim(std::string_view(line).substr(1, close - 1)))];
        } else if (section) {
            section->push_back(read_line(line));
        }
    }
    for (const auto& line : inf.section("strings"))
        if (!line.key.empty()) inf.strings_.emplace(to_lower(line.key), line.values[0]);
    if (!inf.has("version")) return make_error(errors::kDrivers, "no INF file: it has no [Version]");
    return inf;
}

const std::vector<InfLine>& Inf::section(std::string_view name) const {
    static const std::vector<InfLine> kNone;
    const auto found = sections_.find(to_lower(name));
    return found == sections_.end() ? kNone : found->second;
}

bool Inf::has(std::string_view name) const { return sections_.contains(to_lower(name)); }

std::vector<std::string> Inf::sections_with_prefix(std::string_view prefix) const {
    const auto lower = to_lower(prefix);
    std::vector<std::string> out;
    for (auto at = sections_.lower_bound(lower); at != sections_.end() && at->first.starts_with(lower); ++at)
        out.push_back(at->first);
    return out;
}

std::string Inf::value(std::string_view name, std::string_view key) const {
    for (const auto& line : section(name))
        if (iequals(line.key, key)) return expand(line.values[0]);
    return "";
}

std::string Inf::expand(std::string_view text) const {
    std::string out;
    while (!text.empty() && out.size() < kLongestLine) {
        const auto at = text.find('%');
        const auto end = at == std::string_view::npos ? at : text.find('%', at + 1);
        if (end == std::string_view::npos) break;
        out += text.substr(0, at);
        const auto found = strings_.find(to_lower(text.substr(at + 1, end - at - 1)));
        if (end == at + 1) out += '%';
        else if (found != strings_.end()) out += found->second;
        else out += text.substr(at, end - at + 1);
        text.remove_prefix(end + 1);
    }
    out += text;
    out.resize(std::min(out.size(), kLongestLine));
    return out;
}

}  // namespace slipway::fixup::windows
