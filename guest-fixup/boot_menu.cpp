// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/boot_menu.hpp"

#include <algorithm>
#include <cctype>

#include "guest-fixup/grub_environment.hpp"
#include "guest-fixup/text_lines.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr std::size_t kMostEntries = 1024;

bool digit(char c) { return c >= '0' && c <= '9'; }
bool letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

// What follows the first word of a line.
std::string_view value_of(std::string_view line) {
    const auto text = trim(line);
    const auto end = text.find_first_of(" \t");
    return end == text.npos ? std::string_view() : trim(text.substr(end));
}

std::string first_word(std::string_view text) { return std::string(text.substr(0, text.find_first_of(" \t"))); }

struct Entry {
    MenuEntry menu;
    std::string version, sort_key, machine_id;
    bool spent = false;  // its boot counter is at zero
};

Entry read_entry(const std::string& file, std::string_view text) {
    Entry entry;
    auto id = std::string_view(file);
    if (id.ends_with(".conf")) id.remove_suffix(5);
    // Boot counting: name+LEFT or name+LEFT-DONE.
    if (const auto plus = id.rfind('+');
        plus != id.npos && plus + 1 < id.size() && id.find_first_not_of("0123456789-", plus + 1) == id.npos) {
        const auto left = id.substr(plus + 1);
        entry.spent = left.substr(0, left.find('-')).find_first_not_of('0') == left.npos;
        id = id.substr(0, plus);
    }
    entry.menu.id = id;
    for (const auto& line : split(text, '\n')) {
        if (line.size() > kLongestLine) continue;
        const auto words = words_of(line);
        if (words.size() < 2) continue;
        const auto value = value_of(line);
        if (words[0] == "title") entry.menu.title = value;
        else if (words[0] == "linux") entry.menu.kernel = value;
        else if (words[0] == "initrd" && entry.menu.initrd.empty()) entry.menu.initrd = first_word(value);
        else if (words[0] == "version") entry.version = value;
        else if (words[0] == "sort-key") entry.sort_key = value;
        else if (words[0] == "machine-id") entry.machine_id = value;
    }
    return entry;
}

std::vector<Entry> read_entries(const EntryFiles& files) {
    std::vector<Entry> entries;
    for (const auto& [name, text] : files)
        if (name.ends_with(".conf") && entries.size() < kMostEntries) entries.push_back(read_entry(name, text));
    return entries;
}

// As systemd-boot orders its menu.
bool comes_before(const Entry& a, const Entry& b) {
    if (a.spent != b.spent) return b.spent;
    if (a.sort_key.empty() != b.sort_key.empty()) return b.sort_key.empty();
    if (!a.sort_key.empty()) {
        if (a.sort_key != b.sort_key) return a.sort_key < b.sort_key;
        if (a.machine_id != b.machine_id) return a.machine_id < b.machine_id;
        if (const int order = compare_versions(a.version, b.version)) return order > 0;
    }
    return compare_versions(a.menu.id, b.menu.id) > 0;
}

// * and ? alone, in linear steps: the pattern is a guest's.
bool matches(std::string_view pattern, std::string_view text) {
    std::size_t p = 0, t = 0, star = pattern.npos, mark = 0;
    while (t < text.size()) {
        if (p < pattern.size() && (pattern[p] == '?' || (pattern[p] != '*' && pattern[p] == text[t]))) ++p, ++t;
        else if (p < pattern.size() && pattern[p] == '*') star = p++, mark = t;
        else if (star != pattern.npos) p = star + 1, t = ++mark;
        else return false;
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

BootMenu menu_of(const std::vector<Entry>& entries) {
    BootMenu menu;
    for (const auto& entry : entries) menu.entries.push_back(entry.menu);
    return menu;
}

}  // namespace

int compare_versions(std::string_view a, std::string_view b) {
    for (;;) {
        const auto separator = [](char c) { return !digit(c) && !letter(c) && c != '~'; };
        while (!a.empty() && separator(a.front())) a.remove_prefix(1);
        while (!b.empty() && separator(b.front())) b.remove_prefix(1);
        const bool tilde_a = a.starts_with('~'), tilde_b = b.starts_with('~');
        if (tilde_a || tilde_b) {
            if (tilde_a != tilde_b) return tilde_a ? -1 : 1;
            a.remove_prefix(1);
            b.remove_prefix(1);
            continue;
        }
        if (a.empty() || b.empty()) return a.empty() == b.empty() ? 0 : a.empty() ? -1 : 1;
        if (digit(a.front()) != digit(b.front())) return digit(a.front()) ? 1 : -1;
        const auto kind = digit(a.front()) ? digit : letter;
        const auto length = [&](std::string_view text) {
            return static_cast<std::size_t>(std::find_if_not(text.begin(), text.end(), kind) - text.begin());
        };
        auto left = a.substr(0, length(a)), right = b.substr(0, length(b));
        a.remove_prefix(left.size());
        b.remove_prefix(right.size());
        if (digit(left.front())) {
            left.remove_prefix(std::min(left.find_first_not_of('0'), left.size()));
            right.remove_prefix(std::min(right.find_first_not_of('0'), right.size()));
            if (left.size() != right.size()) return left.size() < right.size() ? -1 : 1;
        }
        if (const int order = left.compare(right)) return order < 0 ? -1 : 1;
    }
}

std::string version_in_path(std::string_view path) {
    const auto slash = path.find_last_of('/');
    const auto leaf = slash == path.npos ? path : path.substr(slash + 1);
    for (std::string_view prefix : {"vmlinuz-", "vmlinux-", "bzImage-", "kernel-", "linux-"})
        if (leaf.starts_with(prefix)) return std::string(leaf.substr(prefix.size()));
    // kernel-install's /MACHINE/VERSION/linux
    if (leaf != "linux" || slash == path.npos || slash == 0) return std::string(leaf);
    const auto directory = path.substr(0, slash);
    return std::string(directory.substr(directory.find_last_of('/') + 1));
}

BootMenu read_entries_for_grub(const EntryFiles& files, std::string_view environment) {
    auto entries = read_entries(files);
    std::stable_sort(entries.begin(), entries.end(),
                     [](const Entry& a, const Entry& b) { return compare_versions(a.menu.id, b.menu.id) > 0; });
    auto menu = menu_of(entries);
    menu.by_environment = true;
    auto wanted = environment_value(environment, "saved_entry").value_or("");
    if (auto next = environment_value(environment, "next_entry"); next && !next->empty()) wanted = *next;
    if (wanted.ends_with(".conf")) wanted.resize(wanted.size() - 5);
    if (!menu.entries.empty()) menu.chosen = 0;
    for (std::size_t i = 0; i < menu.entries.size(); ++i)
        if (menu.entries[i].id == wanted || menu.entries[i].title == wanted || std::to_string(i) == wanted)
            menu.chosen = i;
    return menu;
}

BootMenu read_entries_for_systemd_boot(const EntryFiles& files, std::string_view loader_conf) {
    auto entries = read_entries(files);
    std::stable_sort(entries.begin(), entries.end(), comes_before);
    auto menu = menu_of(entries);
    std::string pattern;
    for (const auto& line : split(loader_conf, '\n'))
        if (line.size() <= kLongestLine)
            if (const auto words = words_of(line); words.size() > 1 && words[0] == "default") pattern = words[1];
    if (!menu.entries.empty()) menu.chosen = 0;
    for (std::size_t i = menu.entries.size(); i-- > 0;)
        if (matches(pattern, menu.entries[i].id) || matches(pattern, menu.entries[i].id + ".conf")) menu.chosen = i;
    return menu;
}

std::string set_default_loader_conf(std::string_view text, std::string_view id) {
    bool found = false;
    auto out = map_lines(text, [&](std::string_view line) {
        const auto words = words_of(line);
        if (words.empty() || words[0] != "default") return std::string(line);
        found = true;
        return "default " + std::string(id) + ".conf";
    });
    if (found) return out;
    if (!out.empty() && out.back() != '\n') out += '\n';
    return out + "default " + std::string(id) + ".conf\n";
}

BootMenu read_extlinux(std::string_view config) {
    BootMenu menu;
    std::string wanted, on_timeout;
    std::optional<std::size_t> marked;
    for (const auto& line : split(config, '\n')) {
        if (line.size() > kLongestLine) continue;
        const auto words = words_of(line);
        if (words.empty()) continue;
        const auto key = to_lower(words[0]);
        const auto value = std::string(value_of(line));
        if (key == "default") wanted = value;
        else if (key == "ontimeout") on_timeout = value;
        else if (key == "label" && menu.entries.size() < kMostEntries) menu.entries.push_back({value, value, {}, {}});
        if (menu.entries.empty()) continue;
        auto& entry = menu.entries.back();
        if (key == "kernel" || key == "linux") entry.kernel = first_word(value);
        else if (key == "initrd") entry.initrd = first_word(value.substr(0, value.find(',')));
        else if (key == "menu" && words.size() > 1 && iequals(words[1], "default")) marked = menu.entries.size() - 1;
        else if (key == "append")
            for (const auto word : words)
                if (word.starts_with("initrd=")) entry.initrd = word.substr(7, word.find(',') - 7);
    }
    for (std::size_t i = menu.entries.size(); i-- > 0;) {
        auto& entry = menu.entries[i];
        if (!on_timeout.empty() ? entry.id == on_timeout : !marked && entry.id == wanted) menu.chosen = i;
        if (entry.kernel.ends_with(".c32") || entry.kernel.ends_with(".bin")) entry.kernel.clear();
    }
    if (!menu.chosen && marked) menu.chosen = marked;
    if (!menu.chosen && !menu.entries.empty()) menu.chosen = 0;
    return menu;
}

std::string set_default_extlinux(std::string_view config, std::string_view id) {
    const std::string name(id);
    bool found = false, on_timeout = false;
    std::string label;
    // The lines that make another entry the default go; a DEFAULT that is a menu program stays.
    auto out = map_lines(config, [&](std::string_view line) {
        const auto words = words_of(line);
        if (words.empty()) return std::string(line);
        const auto key = to_lower(words[0]);
        if (key == "label") label = value_of(line);
        if (key == "menu" && words.size() > 1 && iequals(words[1], "default") && label != id)
            return commented_out(line);
        on_timeout = on_timeout || key == "ontimeout";
        found = found || key == "default";
        if (key == "ontimeout") return "ONTIMEOUT " + name;
        return key == "default" && !value_of(line).ends_with(".c32") ? "DEFAULT " + name : std::string(line);
    });
    const auto menu = read_extlinux(out);
    if (on_timeout || (menu.chosen && menu.entries[*menu.chosen].id == id)) return out;
    return (found ? "ONTIMEOUT " : "DEFAULT ") + name + "\n" + out;
}

}  // namespace slipway::fixup
