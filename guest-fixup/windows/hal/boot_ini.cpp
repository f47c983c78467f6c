// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/hal/boot_ini.hpp"

#include "guest-fixup/text_lines.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

constexpr std::size_t kMostEntries = 64;

enum class Section { None, Loader, Systems };

bool starts_with_any_case(std::string_view text, std::string_view with) {
    return iequals(text.substr(0, with.size()), with);
}

// The sections as the lines go by.
class Sections {
public:
    // Whether the line is a heading.
    bool heading(std::string_view line) {
        const auto text = trim(line);
        if (!text.starts_with('[')) return false;
        section_ = starts_with_any_case(text, "[boot loader]")         ? Section::Loader
                   : starts_with_any_case(text, "[operating systems]") ? Section::Systems
                                                                       : Section::None;
        return true;
    }
    Section now() const { return section_; }

private:
    Section section_ = Section::None;
};

struct Parts {
    std::string_view key, value;  // trimmed
};
Parts parts_of(std::string_view line) {
    const auto equals = line.find('=');
    if (equals == std::string_view::npos || trim(line).starts_with(';')) return {};
    return {trim(line.substr(0, equals)), trim(line.substr(equals + 1))};
}

// Where the switches of an entry's line begin: behind its title, or behind the "=" when it has none. A title without an
// end has no switches behind it.
std::size_t switches_at(std::string_view line) {
    const auto equals = line.find('=');
    if (equals == std::string_view::npos) return line.size();
    const auto open = line.find('"', equals);
    if (open == std::string_view::npos) return equals + 1;
    const auto close = line.find('"', open + 1);
    return close == std::string_view::npos ? line.size() : close + 1;
}

std::string default_path(std::string_view text) {
    Sections sections;
    std::string path, first;
    map_lines(text, [&](std::string_view line) {
        if (sections.heading(line)) return line;
        const auto parts = parts_of(line);
        if (sections.now() == Section::Loader && iequals(parts.key, "default") && path.empty()) path = parts.value;
        if (sections.now() == Section::Systems && first.empty()) first = parts.key;
        return line;
    });
    return path.empty() ? first : path;
}

bool is_hal_switch(std::string_view word) {
    return starts_with_any_case(word, "/hal=") || starts_with_any_case(word, "/kernel=");
}

// The blanks before a switch go with it.
std::string without_switches(std::string_view line) {
    const auto at = switches_at(line);
    std::string out(line.substr(0, at));
    auto rest = line.substr(at);
    while (!rest.empty()) {
        const auto word_at = std::min(rest.find_first_not_of(" \t\r"), rest.size());
        const auto end = std::min(rest.find_first_of(" \t\r", word_at), rest.size());
        const auto word = rest.substr(word_at, end - word_at);
        if (!is_hal_switch(word)) out += rest.substr(0, end);
        rest.remove_prefix(end);
    }
    return out;
}

// "scsi(0)disk(1)rdisk(0)partition(2)\WINNT" by the firmware; empty: it is so already, or something else.
std::string firmware_path(std::string_view path) {
    if (!starts_with_any_case(path, "scsi(") && !starts_with_any_case(path, "signature(")) return "";
    const auto partition = to_lower(path).find("partition(");
    return partition == std::string::npos ? "" : "multi(0)disk(0)rdisk(0)" + std::string(path.substr(partition));
}

// The line with `from` in it replaced, which is a part of it.
std::string replaced(std::string_view line, std::string_view from, std::string_view to) {
    const auto at = static_cast<std::size_t>(from.data() - line.data());
    return std::string(line.substr(0, at)) + std::string(to) + std::string(line.substr(at + from.size()));
}

}  // namespace

std::vector<BootEntry> read_boot_ini(std::string_view text) {
    const auto chosen = default_path(text);
    std::vector<BootEntry> out;
    Sections sections;
    map_lines(text, [&](std::string_view line) {
        if (sections.heading(line) || sections.now() != Section::Systems || out.size() == kMostEntries) return line;
        const auto parts = parts_of(line);
        if (parts.key.empty()) return line;
        auto& entry = out.emplace_back();
        entry.path = parts.key;
        entry.is_default = iequals(parts.key, chosen);
        for (const auto word : words_of(line.substr(switches_at(line))))
            if (word.starts_with('/')) entry.switches.emplace_back(word);
        return line;
    });
    return out;
}

std::string switch_value(const BootEntry& entry, std::string_view name) {
    const auto prefix = std::string(name) + "=";
    for (const auto& word : entry.switches)
        if (starts_with_any_case(word, prefix)) return word.substr(prefix.size());
    return "";
}

const BootEntry* default_entry(const std::vector<BootEntry>& entries) {
    for (const auto& entry : entries)
        if (entry.is_default) return &entry;
    return entries.empty() ? nullptr : &entries.front();
}

std::string without_hal_switches(std::string_view text) {
    const auto entries = read_boot_ini(text);
    const auto* chosen = default_entry(entries);
    if (!chosen) return std::string(text);
    Sections sections;
    return map_lines(text, [&](std::string_view line) {
        if (sections.heading(line) || sections.now() != Section::Systems) return std::string(line);
        return iequals(parts_of(line).key, chosen->path) ? without_switches(line) : std::string(line);
    });
}

std::string with_firmware_paths(std::string_view text) {
    Sections sections;
    return map_lines(text, [&](std::string_view line) {
        if (sections.heading(line) || sections.now() == Section::None) return std::string(line);
        const auto parts = parts_of(line);
        const bool loader = sections.now() == Section::Loader;
        if (loader && !iequals(parts.key, "default")) return std::string(line);
        const auto path = loader ? parts.value : parts.key;
        const auto to = firmware_path(path);
        return to.empty() ? std::string(line) : replaced(line, path, to);
    });
}

}  // namespace slipway::fixup::windows
