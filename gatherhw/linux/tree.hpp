// SPDX-License-Identifier: GPL-3.0-or-later
// A machine's file tree below a root directory: every symbolic link is resolved inside it, so that a
// captured tree with absolute links never leads to the machine that reads it.
#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "gatherhw/model.hpp"

namespace slipway::gatherhw {

inline constexpr std::size_t kTextLimit = 1u << 20;  // longer files are cut

class Tree {
public:
    explicit Tree(std::filesystem::path root) : root_(std::move(root)) {}

    // All paths are absolute inside the tree: "/proc/cmdline".
    // The path with every link followed, nothing when it leads nowhere.
    std::optional<std::string> resolve(std::string_view path) const;
    // Where that is for open(2); nothing when it leads nowhere.
    std::optional<std::filesystem::path> host(std::string_view path) const;
    bool exists(std::string_view path) const { return resolve(path).has_value(); }

    // Nothing when absent. What is there but refused is noted once in unread().
    std::optional<std::string> read(std::string_view path, std::size_t limit = kTextLimit);
    // The last bytes of a longer text, from its first whole line.
    std::optional<std::string> tail(std::string_view path, std::size_t limit);
    std::string line(std::string_view path);                                  // trimmed text, empty when absent
    std::uint64_t number(std::string_view path, std::uint64_t fallback = 0);  // decimal or 0x…
    std::vector<std::string> lines(std::string_view path);
    std::vector<std::string> list(std::string_view directory);  // names, sorted naturally (sda2 before sda10)
    std::string link_target(std::string_view path) const;       // as it stands, empty when no link
    std::string link_name(std::string_view path) const;         // the last name of that
    void unreadable(std::string what, std::string why);
    std::vector<Unread> unread() const;

private:
    std::filesystem::path root_;
    std::map<std::string, std::string> unread_;  // what -> why
};

std::string base_name(std::string_view path);
// Words between blanks and tabs.
std::vector<std::string> words(std::string_view line);
// Decimal, or hexadecimal after 0x.
std::optional<std::uint64_t> parse_number(std::string_view text);
bool natural_less(std::string_view a, std::string_view b);

}  // namespace slipway::gatherhw
