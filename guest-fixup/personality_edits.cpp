// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/personality_edits.hpp"

#include <algorithm>

#include <fmt/format.h>

#include "guest-fixup/text_lines.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

bool among(const std::vector<std::string>& names, std::string_view name) {
    return std::any_of(names.begin(), names.end(), [&](const auto& known) { return iequals(known, name); });
}

bool loopback(std::string_view address) { return address.starts_with("127.") || address == "::1"; }

// The words of a line before its comment.
std::vector<std::string_view> uncommented_words(std::string_view line) {
    return words_of(line.substr(0, line.find('#')));
}

// The names of one line of /etc/hosts after the change, in their order and each once.
std::vector<std::string> renamed(const std::vector<std::string_view>& words, const std::vector<std::string>& old_names,
                                 const std::vector<std::string>& new_names) {
    std::vector<std::string> names;
    auto add = [&](std::string_view name) {
        if (!among(names, name)) names.emplace_back(name);
    };
    for (std::size_t i = 1; i < words.size(); ++i) {
        if (!among(old_names, words[i])) add(words[i]);
        else
            for (const auto& name : new_names) add(name);
    }
    return names;
}

}  // namespace

std::string set_assignment(std::string_view text, std::string_view key, std::string_view value) {
    bool found = false;
    const auto start = fmt::format("{}=", key);
    auto out = map_lines(text, [&](std::string_view line) {
        if (!line.starts_with(start)) return std::string(line);
        found = true;
        return without_quotes(trim(line.substr(start.size()))) == value ? std::string(line)
                                                                        : fmt::format("{}{}", start, value);
    });
    return found ? out : add_line(out, fmt::format("{}{}", start, value));
}

std::string assignment(std::string_view text, std::string_view key) {
    std::string found;
    const auto start = fmt::format("{}=", key);
    map_lines(text, [&](std::string_view line) {
        if (line.starts_with(start)) found = without_quotes(trim(line.substr(start.size())));
        return std::string();
    });
    return found;
}

Edited edit_hosts(std::string_view text, const std::vector<std::string>& old_names,
                  const std::vector<std::string>& new_names) {
    Edited out;
    bool own_line = false;
    out.text = map_lines(text, [&](std::string_view line) {
        const auto words = uncommented_words(line);
        if (words.size() < 2) return std::string(line);
        const bool own = words[0] == "127.0.1.1";
        // A line that had the new name already is nobody's to extend: a second repair would, for then it is the old
        // one.
        const bool named = std::any_of(words.begin() + 1, words.end(),
                                       [&](auto word) { return among(old_names, word) && !among(new_names, word); });
        auto names =
            named ? renamed(words, old_names, new_names) : std::vector<std::string>(words.begin() + 1, words.end());
        if (own && !among(names, new_names.front())) names.insert(names.begin(), new_names.begin(), new_names.end());
        own_line = own_line || own;
        if (!loopback(words[0]) && named && !among(new_names, words[1]))
            out.warnings.push_back(
                fmt::format("/etc/hosts gives {} the name of this machine: check that the address "
                            "is still its own",
                            printable(words[0])));
        if (names == std::vector<std::string>(words.begin() + 1, words.end())) return std::string(line);
        const auto comment = line.find('#');
        return fmt::format("{}\t{}{}", words[0], join(names, " "),
                           comment == std::string_view::npos ? "" : fmt::format("  {}", line.substr(comment)));
    });
    // Without it sudo and others ask the network for their own machine's address.
    const auto has_name = [&] {
        bool found = false;
        map_lines(out.text, [&](std::string_view line) {
            const auto words = uncommented_words(line);
            for (std::size_t i = 1; i < words.size(); ++i) found = found || among(new_names, words[i]);
            return std::string();
        });
        return found;
    };
    if (!own_line && !has_name()) out.text = add_line(out.text, fmt::format("127.0.1.1\t{}", join(new_names, " ")));
    return out;
}

std::string add_line(std::string_view text, std::string_view line) {
    bool found = false;
    map_lines(text, [&](std::string_view known) {
        found = found || trim(known) == line;
        return std::string();
    });
    if (found) return std::string(text);
    return fmt::format("{}{}{}\n", text, text.empty() || text.ends_with('\n') ? "" : "\n", line);
}

std::vector<std::string> host_names(std::string_view host_name) {
    if (host_name.empty()) return {};
    std::vector<std::string> names{std::string(host_name)};
    if (const auto dot = host_name.find('.'); dot != std::string_view::npos)
        names.emplace_back(host_name.substr(0, dot));
    return names;
}

std::vector<Account> parse_passwd(std::string_view text) {
    std::vector<Account> accounts;
    map_lines(text, [&](std::string_view line) {
        const auto fields = split(line, ':');
        if (fields.size() < 7) return std::string();
        const auto uid = parse_u64(fields[2]), gid = parse_u64(fields[3]);
        if (uid && gid && *uid < 0xffffffff && *gid < 0xffffffff && fields[5].starts_with('/'))
            accounts.push_back({fields[0], static_cast<unsigned>(*uid), static_cast<unsigned>(*gid), fields[5]});
        return std::string();
    });
    return accounts;
}

}  // namespace slipway::fixup
