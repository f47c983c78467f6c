// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/grub_environment.hpp"

namespace slipway::fixup {

namespace {

constexpr std::string_view kSignature = "# GRUB Environment Block\n";

// The lines of a block, one KEY=VALUE as it stands there; nothing when it is no block. Ends at the filling.
template <typename See>
bool for_each(std::string_view block, See&& see) {
    if (!block.starts_with(kSignature)) return false;
    auto rest = block.substr(kSignature.size());
    while (!rest.empty()) {
        std::size_t end = 0;
        while (end < rest.size() && rest[end] != '\n') end += rest[end] == '\\' ? 2 : 1;
        if (end >= rest.size()) return true;  // the filling, or a line that was cut off
        if (rest.front() != '#') see(rest.substr(0, end));
        rest.remove_prefix(end + 1);
    }
    return true;
}

std::string unescaped(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] == '\\' && i + 1 < text.size()) ++i;
        out += text[i];
    }
    return out;
}

std::string escaped(std::string_view text) {
    std::string out;
    for (const char c : text) {
        if (c == '\\' || c == '\n') out += '\\';
        out += c;
    }
    return out;
}

bool sets(std::string_view line, std::string_view key) {
    return line.starts_with(key) && line.size() > key.size() && line[key.size()] == '=';
}

}  // namespace

std::optional<std::string> environment_value(std::string_view block, std::string_view key) {
    std::optional<std::string> value;
    for_each(block, [&](std::string_view line) {
        if (sets(line, key)) value = unescaped(line.substr(key.size() + 1));
    });
    return value;
}

std::string set_environment(std::string_view block, std::string_view key, std::string_view value) {
    std::string out(kSignature);
    bool set = value.empty();
    const auto own = std::string(key) + "=" + escaped(value) + "\n";
    const bool valid = for_each(block, [&](std::string_view line) {
        if (!sets(line, key)) {
            out += std::string(line) + "\n";
        } else if (!set) {
            out += own;
            set = true;
        }
    });
    if (!set) out += own;
    if (!valid || out.size() > block.size()) return std::string(block);
    out.append(block.size() - out.size(), '#');
    return out;
}

}  // namespace slipway::fixup
