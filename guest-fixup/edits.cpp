// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/edits.hpp"

#include <algorithm>
#include <regex>

#include <fmt/format.h>

#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

struct Field {
    std::size_t begin = 0, length = 0;
};

// The white-space separated fields of a line; none for comments and empty lines.
std::vector<Field> fields_of(std::string_view line) {
    std::vector<Field> fields;
    std::size_t at = 0;
    while ((at = line.find_first_not_of(" \t\r", at)) != std::string_view::npos) {
        if (fields.empty() && line[at] == '#') return {};
        auto end = std::min(line.find_first_of(" \t\r", at), line.size());
        fields.push_back({at, end - at});
        at = end;
    }
    return fields;
}

Edited edit_field(std::string_view text, std::size_t which, std::string_view file, const DeviceNames& names) {
    Edited out;
    out.text = map_lines(text, [&](std::string_view line) {
        std::string changed(line);
        const auto fields = fields_of(line);
        if (fields.size() <= which || fields.size() < 2) return changed;
        const auto spec = line.substr(fields[which].begin, fields[which].length);
        if (auto stable = names.stable_name(spec)) changed.replace(fields[which].begin, fields[which].length, *stable);
        else if (DeviceNames::unstable(spec))
            out.warnings.push_back(fmt::format("{} names {}, which is not on this disk: it may have another name now",
                                               file, printable(spec)));
        return changed;
    });
    return out;
}

}  // namespace

std::vector<FstabEntry> parse_fstab(std::string_view text) {
    std::vector<FstabEntry> entries;
    map_lines(text, [&](std::string_view line) {
        const auto fields = fields_of(line);
        auto field = [&](std::size_t i) {
            return i < fields.size() ? std::string(line.substr(fields[i].begin, fields[i].length)) : std::string();
        };
        if (fields.size() >= 3) entries.push_back({field(0), field(1), field(2), field(3)});
        return std::string();
    });
    return entries;
}

Edited edit_fstab(std::string_view text, const DeviceNames& names) { return edit_field(text, 0, "/etc/fstab", names); }

Edited edit_crypttab(std::string_view text, const DeviceNames& names) {
    return edit_field(text, 1, "/etc/crypttab", names);
}

Edited edit_crypttab_for_initramfs(std::string_view text, const std::vector<std::string>& mappings) {
    Edited out;
    out.text = map_lines(text, [&](std::string_view line) {
        std::string changed(line);
        const auto fields = fields_of(line);
        auto field = [&](std::size_t n) { return line.substr(fields[n].begin, fields[n].length); };
        if (fields.size() < 2 || std::find(mappings.begin(), mappings.end(), field(0)) == mappings.end())
            return changed;
        if (fields.size() < 3) return changed + " none luks,initramfs";
        const auto end = fields.back().begin + fields.back().length;
        if (fields.size() == 3) return changed.insert(end, " luks,initramfs");
        const auto options = split(field(3), ',');
        if (std::find(options.begin(), options.end(), "initramfs") == options.end())
            changed.insert(fields[3].begin + fields[3].length, ",initramfs");
        return changed;
    });
    return out;
}

Edited edit_command_lines(std::string_view text, const DeviceNames& names) {
    static const std::regex device("(^|[\\s\"'])(root=|resume=|RESUME=)(/dev/[A-Za-z0-9/_.:+-]+)");
    Edited out;
    out.text = map_lines(text, [&](std::string_view line) {
        std::string changed;
        if (fields_of(line).empty()) return std::string(line);
        auto rest = line;
        std::cmatch match;
        while (std::regex_search(rest.data(), rest.data() + rest.size(), match, device)) {
            changed.append(rest.data(), static_cast<std::size_t>(match.position(3)));
            const auto spec = match[3].str();
            auto stable = names.stable_name(spec);
            if (!stable && DeviceNames::unstable(spec))
                out.warnings.push_back(
                    fmt::format("a kernel command line says {}{}, which is not on this disk", match[2].str(), spec));
            changed += stable.value_or(spec);
            rest.remove_prefix(static_cast<std::size_t>(match.position(3) + match.length(3)));
        }
        return changed.append(rest);
    });
    return out;
}

Edited edit_grub_defaults(std::string_view text, const DeviceNames& names) {
    static const std::regex off("^(\\s*GRUB_DISABLE_LINUX_(?:PART)?UUID=)[\"']?true[\"']?(\\s*)$");
    auto out = edit_command_lines(text, names);
    out.text = map_lines(
        out.text, [&](std::string_view line) { return std::regex_replace(std::string(line), off, "$1false$2"); });
    return out;
}

std::string root_argument(std::string_view text) {
    static const std::regex argument("(?:^|[\\s\"'])root=([^\\s\"']+)");
    std::string found;
    map_lines(text, [&](std::string_view line) {
        std::cmatch match;
        if (found.empty() && !fields_of(line).empty() &&
            std::regex_search(line.data(), line.data() + line.size(), match, argument) &&
            line.find("set root=") == std::string_view::npos)
            found = match[1].str();
        return std::string();
    });
    return found;
}

std::vector<std::string> searched_uuids(std::string_view text) {
    std::vector<std::string> found;
    map_lines(text, [&](std::string_view line) {
        const auto words = words_of(line);
        if (words.size() < 3 || !words[0].starts_with("search") || found.size() > 1024) return std::string();
        const auto named = [](std::string_view word) { return word == "--fs-uuid" || word == "-u"; };
        if (words[0] == "search.fs_uuid") found.emplace_back(words[1]);
        else if (std::any_of(words.begin(), words.end(), named)) found.emplace_back(words.back());
        return std::string();
    });
    return found;
}

}  // namespace slipway::fixup
