// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "guest-fixup/boot_menu.hpp"
#include "guest-fixup/grub_environment.hpp"
#include "guest-fixup/text_lines.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr std::size_t kMostEntries = 1024, kDeepest = 16, kMostWords = 64, kLongestName = 512;

// The words of a line of GRUB's script, without their quotes. Expansions stay as they are written.
std::vector<std::string> script_words(std::string_view line) {
    std::vector<std::string> words;
    std::string word;
    char quote = 0;
    bool in_word = false;
    for (std::size_t i = 0; i <= line.size() && words.size() < kMostWords; ++i) {
        const char c = i < line.size() ? line[i] : ' ';
        if (quote) {
            if (c == quote) quote = 0;
            else if (c == '\\' && quote == '"' && i + 1 < line.size()) word += line[++i];
            else word += c;
        } else if (c == '\'' || c == '"') {
            quote = c;
            in_word = true;
        } else if (c == ' ' || c == '\t' || c == '\r' || (c == ';' && i + 1 >= line.size())) {
            if (in_word) words.push_back(std::move(word));
            word.clear();
            in_word = false;
        } else if (c == '#' && !in_word) {
            break;
        } else {
            word += c;
            in_word = true;
        }
    }
    return words;
}

// How one level of "1>gnulinux-6.1" may be called.
struct Node {
    std::string index, id, title;
    bool called(std::string_view name) const { return name == index || (!id.empty() && name == id) || name == title; }
    std::string name() const { return !id.empty() ? id : title.find('>') == title.npos ? title : index; }
};

struct Reader {
    struct Block {
        enum class Kind { Other, Submenu, Entry } kind = Kind::Other;
        std::size_t children = 0;
    };
    BootMenu menu;
    std::vector<std::vector<Node>> paths;  // of each entry
    std::vector<Node> path;                // of the menus we are in, and the entry
    std::vector<Block> blocks{{}};
    std::string wanted;  // the last default that is not next_entry's
    bool once = false;   // next_entry is looked at

    void begin_node(const std::vector<std::string>& words, Block::Kind kind) {
        Node node{{}, {}, words.size() > 1 ? words[1].substr(0, kLongestName) : ""};
        for (std::size_t i = 2; i < words.size(); ++i) {
            const bool next =
                words[i] == "--id" || words[i] == "$menuentry_id_option" || words[i] == "${menuentry_id_option}";
            if (next && i + 1 < words.size()) node.id = words[i + 1];
            else if (words[i].starts_with("--id=")) node.id = words[i].substr(5);
        }
        if (node.id.size() > kLongestName) node.id.clear();
        auto menu_above = std::find_if(blocks.rbegin(), blocks.rend(), [&](const Block& block) {
            return block.kind == Block::Kind::Submenu || &block == &blocks.front();
        });
        node.index = std::to_string(menu_above->children++);
        path.push_back(std::move(node));
        blocks.push_back({kind, 0});
        if (kind != Block::Kind::Entry) return;
        MenuEntry entry{.title = path.back().title};
        for (const auto& level : path) entry.id += (entry.id.empty() ? "" : ">") + level.name();
        menu.entries.push_back(std::move(entry));
        paths.push_back(path);
    }

    void end_block() {
        if (blocks.size() < 2) return;
        if (blocks.back().kind != Block::Kind::Other) path.pop_back();
        blocks.pop_back();
    }

    bool in_entry() const {
        return std::any_of(blocks.begin(), blocks.end(), [](auto& b) { return b.kind == Block::Kind::Entry; });
    }

    void see_command(const std::vector<std::string>& words) {
        auto& entry = menu.entries.back();
        const auto& command = words[0];
        const auto& argument = words[1];
        if (command == "linux" || command == "linux16" || command == "linuxefi") entry.kernel = argument;
        else if (command.starts_with("multiboot")) entry.xen = argument.find("xen") != argument.npos;
        else if (command.starts_with("initrd")) entry.initrd = argument;
        else if (command.starts_with("module") && entry.kernel.empty()) entry.kernel = argument;
        else if (command.starts_with("module") && entry.initrd.empty()) entry.initrd = argument;
    }

    void see_line(std::string_view line) {
        const auto words = script_words(line);
        if (words.empty()) return;
        const bool opens = words.back() == "{" || words.back().ends_with("){") || words.back().ends_with("()");
        const bool node = words[0] == "menuentry" || words[0] == "submenu";
        if (opens && blocks.size() < kDeepest && menu.entries.size() < kMostEntries) {
            if (node) begin_node(words, words[0] == "submenu" ? Block::Kind::Submenu : Block::Kind::Entry);
            else blocks.push_back({});
        } else if (words[0] == "}") {
            end_block();
        } else if (words.size() > 1 && words[0] == "set" && words[1].starts_with("default=")) {
            const auto value = words[1].substr(8);
            if (value.find("next_entry") != value.npos) once = true;
            else wanted = value;
        } else if (words.size() > 1 && in_entry()) {
            see_command(words);
        }
    }

    std::optional<std::size_t> find(std::string_view name) const {
        const auto levels = split(name, '>');
        for (std::size_t i = 0; i < paths.size(); ++i) {
            if (levels.size() > paths[i].size()) continue;
            bool all = true;
            for (std::size_t level = 0; level < levels.size(); ++level)
                all = all && paths[i][level].called(levels[level]);
            if (all) return i;
        }
        return std::nullopt;
    }
};

bool default_line(std::string_view line, std::string_view& value) {
    const auto words = words_of(line);
    if (words.size() < 2 || words[0] != "set" || !words[1].starts_with("default=")) return false;
    const auto begin = words[1].data() + 8;
    value = std::string_view(begin, static_cast<std::size_t>(line.data() + line.size() - begin));
    return true;
}

}  // namespace

BootMenu read_grub2(std::string_view config, std::string_view environment) {
    Reader reader;
    while (!config.empty()) {
        const auto end = std::min(config.find('\n'), config.size());
        if (end <= kLongestLine) reader.see_line(config.substr(0, end));
        config.remove_prefix(std::min(end + 1, config.size()));
    }
    reader.menu.by_environment = reader.wanted.find("saved_entry") != std::string::npos;
    if (reader.menu.by_environment) reader.wanted = environment_value(environment, "saved_entry").value_or("");
    if (reader.once)
        if (auto next = environment_value(environment, "next_entry"); next && !next->empty()) reader.wanted = *next;
    if (!reader.menu.entries.empty())
        reader.menu.chosen = reader.find(reader.wanted.empty() ? "0" : reader.wanted).value_or(0);
    return std::move(reader.menu);
}

bool grub2_reads_entries(std::string_view config) {
    for (const auto& line : split(config, '\n'))
        if (line.size() <= kLongestLine)
            if (const auto words = words_of(line); !words.empty() && words[0] == "blscfg") return true;
    return false;
}

std::string set_default_grub2(std::string_view config, std::string_view id) {
    bool found = false;
    auto out = map_lines(config, [&](std::string_view line) {
        std::string_view value;
        if (!default_line(line, value) || value.find("next_entry") != value.npos) return std::string(line);
        found = true;
        return std::string(line.substr(0, static_cast<std::size_t>(value.data() - line.data()))) + "\"" +
               std::string(id) + "\"";
    });
    return found ? out : "set default=\"" + std::string(id) + "\"\n" + out;
}

std::string set_default_grub_defaults(std::string_view text, std::string_view id) {
    constexpr std::string_view kKey = "GRUB_DEFAULT=";
    bool found = false;
    auto out = map_lines(text, [&](std::string_view line) {
        if (!trim(line).starts_with(kKey)) return std::string(line);
        found = true;
        if (without_quotes(trim(trim(line).substr(kKey.size()))) == "saved") return std::string(line);
        return std::string(kKey) + "\"" + std::string(id) + "\"";
    });
    if (found) return out;
    if (!out.empty() && out.back() != '\n') out += '\n';
    return out + std::string(kKey) + "\"" + std::string(id) + "\"\n";
}

BootMenu read_grub_legacy(std::string_view config, std::string_view saved) {
    BootMenu menu;
    std::string wanted;
    for (const auto& line : split(config, '\n')) {
        if (line.size() > kLongestLine) continue;
        auto text = line;
        // "default=0" and "default 0" are one.
        if (const auto equals = text.find('='); equals != text.npos && text.find_first_of(" \t") > equals)
            text[equals] = ' ';
        const auto words = words_of(text);
        if (words.empty()) continue;
        const bool in_entry = !menu.entries.empty();
        if (words[0] == "title" && menu.entries.size() < kMostEntries) {
            const auto at = static_cast<std::size_t>(words[0].data() + words[0].size() - text.data());
            menu.entries.push_back(
                {std::to_string(menu.entries.size()), std::string(trim(std::string_view(text).substr(at))), {}, {}});
        } else if (words.size() < 2) {
            continue;
        } else if (words[0] == "default" && !in_entry) {
            wanted = words[1];
        } else if (in_entry) {
            auto& entry = menu.entries.back();
            const auto path =
                *std::find_if(words.begin() + 1, words.end() - 1, [](auto w) { return !w.starts_with("--"); });
            if (words[0] == "kernel" && path.find("/xen") != path.npos) entry.xen = true;
            else if (words[0] == "kernel" || (words[0] == "module" && entry.kernel.empty())) entry.kernel = path;
            else if (words[0] == "initrd" || (words[0] == "module" && entry.initrd.empty())) entry.initrd = path;
        }
    }
    if (wanted == "saved") wanted = trim(saved.substr(0, saved.find('\n')));
    const auto number = parse_u64(wanted).value_or(0);
    if (!menu.entries.empty()) menu.chosen = number < menu.entries.size() ? number : 0;
    return menu;
}

std::string set_default_grub_legacy(std::string_view config, std::string_view id) {
    bool found = false;
    auto out = map_lines(config, [&](std::string_view line) {
        const auto text = trim(line);
        if (!text.starts_with("default") || text.size() == 7 ||
            std::string_view(" \t=").find(text[7]) == std::string_view::npos)
            return std::string(line);
        found = true;
        return "default=" + std::string(id);
    });
    return found ? out : "default=" + std::string(id) + "\n" + out;
}

}  // namespace slipway::fixup
