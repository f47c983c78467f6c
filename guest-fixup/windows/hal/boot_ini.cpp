// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/hal/boot_ini.hpp"

#include <algorithm>
#include <charconv>
#include <optional>

#include "guest-fixup/text_lines.hpp"
#include "lib/base/result.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

constexpr std::size_t kMostEntries = 64, kMostLeft = 8;

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

// "scsi(0)disk(1)rdisk(0)partition(1)\WINNT" in its parts.
struct ArcPath {
    std::string disk;        // "scsi(0)disk(1)rdisk(0)", in small letters
    unsigned partition = 0;  // 1
    std::string folder;      // "WINNT"
    std::string rest;        // "partition(1)\WINNT", as it is written
};

std::optional<ArcPath> arc_path(std::string_view path) {
    constexpr std::string_view kPartition = "partition(";
    auto lower = to_lower(path);
    const auto at = lower.find(kPartition);
    if (at == std::string::npos) return std::nullopt;
    ArcPath out;
    out.rest = path.substr(at);
    const auto number = std::string_view(out.rest).substr(kPartition.size());
    const auto close = number.find(')');
    out.partition = static_cast<unsigned>(parse_u64(number.substr(0, close)).value_or(0) & 0xffff);
    const auto folder = close == std::string_view::npos ? "" : number.substr(close + 1);
    if (folder.starts_with('\\')) out.folder = folder.substr(1);
    lower.resize(at);
    out.disk = std::move(lower);
    return out;
}

// The old controller's driver reads it; else the firmware does.
bool by_driver(const ArcPath& path) { return path.disk.starts_with("scsi(") || path.disk.starts_with("signature("); }

// The default's first, then those of the entries.
std::vector<ArcPath> arc_paths(std::string_view text) {
    std::vector<ArcPath> out;
    if (auto path = arc_path(default_path(text))) out.push_back(*std::move(path));
    for (const auto& entry : read_boot_ini(text))
        if (auto path = arc_path(entry.path)) out.push_back(*std::move(path));
    return out;
}

// The number between a word and ')'; nullopt: there is another word, or no number.
std::optional<std::uint32_t> number_behind(std::string_view text, std::string_view word, int base) {
    if (!text.starts_with(word)) return std::nullopt;
    const auto digits = text.substr(word.size(), text.find(')') - word.size());
    std::uint32_t number = 0;
    const auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), number, base);
    return bad == std::errc() && end == digits.data() + digits.size() ? std::optional(number) : std::nullopt;
}

// The disk that has this signature, alone.
std::optional<unsigned> disk_signed(std::uint32_t signature, const FirmwareDisks& disks) {
    const auto at = std::find(disks.signatures.begin(), disks.signatures.end(), signature);
    if (signature == 0 || at == disks.signatures.end() || std::count(at, disks.signatures.end(), signature) > 1)
        return std::nullopt;
    return static_cast<unsigned>(at - disks.signatures.begin());
}

// Where the path itself says which disk it means.
std::optional<unsigned> disk_of(const ArcPath& path, const FirmwareDisks& disks) {
    constexpr std::string_view kFirmware = "multi(0)disk(0)";
    if (path.disk.starts_with(kFirmware))
        return number_behind(std::string_view(path.disk).substr(kFirmware.size()), "rdisk(", 10);
    const auto signature = number_behind(path.disk, "signature(", 16);
    return signature ? disk_signed(*signature, disks) : std::nullopt;
}

// The disks of paths to Windows' partition and folder, without those that say which one they mean; nullopt: one of
// these is Windows' own, so that there is nothing to find out.
std::optional<std::vector<std::string>> disks_with_windows(const std::vector<ArcPath>& paths,
                                                           const FirmwareDisks& disks) {
    std::vector<std::string> names;
    for (const auto& path : paths) {
        if (!iequals(path.folder, disks.windows_folder)) continue;
        if (disks.windows_partition != 0 && path.partition != disks.windows_partition) continue;
        const auto disk = disk_of(path, disks);
        if (disk == disks.windows_disk) return std::nullopt;
        if (!disk && std::find(names.begin(), names.end(), path.disk) == names.end()) names.push_back(path.disk);
    }
    return names;
}

// What the old adapter called the disk with Windows on it; "": nobody knows, or needs it.
std::string windows_disk_in(std::string_view text, const FirmwareDisks& disks) {
    const auto paths = arc_paths(text);
    const auto started = arc_path(disks.started_from);
    if (started && by_driver(*started)) return started->disk;
    if (disks.started_from.empty()) {
        const auto names = disks_with_windows(paths, disks);
        if (!names) return "";
        if (names->size() == 1) return names->front();
    }
    return disks.signatures.size() == 1 && !paths.empty() ? paths.front().disk : "";
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

FirmwarePaths with_firmware_paths(std::string_view text, const FirmwareDisks& disks) {
    const auto windows_disk = windows_disk_in(text, disks);
    FirmwarePaths out;
    Sections sections;
    out.text = map_lines(text, [&](std::string_view line) {
        if (sections.heading(line) || sections.now() == Section::None) return std::string(line);
        const auto parts = parts_of(line);
        const bool loader = sections.now() == Section::Loader;
        if (loader && !iequals(parts.key, "default")) return std::string(line);
        const auto path = loader ? parts.value : parts.key;
        const auto arc = arc_path(path);
        if (!arc || !by_driver(*arc)) return std::string(line);
        auto disk = disk_of(*arc, disks);
        if (!disk && arc->disk == windows_disk) disk = disks.windows_disk;
        if (disk) return replaced(line, path, fmt::format("multi(0)disk(0)rdisk({}){}", *disk, arc->rest));
        const bool known = std::any_of(out.left.begin(), out.left.end(), [&](auto& p) { return iequals(p, path); });
        if (!known && out.left.size() < kMostLeft) out.left.emplace_back(path);
        return std::string(line);
    });
    return out;
}

}  // namespace slipway::fixup::windows
