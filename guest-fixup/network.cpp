// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/network.hpp"

#include <algorithm>
#include <cctype>

#include <fmt/format.h>

#include "guest-fixup/edits.hpp"
#include "guest-fixup/network/text.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

// The value of NAME= or NAME:= in a rule.
std::string_view name_in_rule(std::string_view line) {
    for (std::string_view key : {"NAME=\"", "NAME:=\""})
        for (std::size_t at = 0; (at = line.find(key, at)) != std::string_view::npos; ++at) {
            if (at > 0 && line[at - 1] != ' ' && line[at - 1] != ',' && line[at - 1] != '\t') continue;
            const auto rest = line.substr(at + key.size());
            return rest.substr(0, std::min(rest.find('"'), rest.size()));
        }
    return {};
}

}  // namespace

bool kernel_reserved(std::string_view name) {
    for (std::string_view prefix : {"eth", "wlan"})
        if (name.starts_with(prefix) && name.size() > prefix.size())
            return name.find_first_not_of("0123456789", prefix.size()) == std::string_view::npos;
    return false;
}

std::string link_file(std::string_view name, const MacAddress& mac, bool hardware_only) {
    return fmt::format(
        "# Written by Slipway: the interface keeps the name it had on the old machine.\n"
        "[Match]\nMACAddress={}\n{}\n[Link]\nName={}\n",
        mac.text(), hardware_only ? "Path=?*\n" : "", name);
}

std::string persistent_rule(std::string_view name, const MacAddress& mac) {
    return fmt::format(
        "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", ATTR{{address}}==\"{}\", "
        "ATTR{{type}}==\"1\", NAME=\"{}\"\n",
        mac.text(), name);
}

std::string was_line(std::string_view name, const MacAddress& old_mac, const MacAddress& new_mac) {
    return fmt::format("# {} was {}, is {} now.\n", name, old_mac.text(), new_mac.text());
}

std::string edit_persistent_rules(std::string_view text, std::string_view name, const MacAddress& new_mac) {
    auto lines = split(text, '\n');
    std::erase_if(lines, [&](std::string& line) {
        if (trim(line).starts_with('#') || line.size() > kLongestLine) return false;
        const auto has = std::string(name_in_rule(line));
        const auto uses = macs_in({0, line});
        if (has.empty() || uses.empty()) return false;
        const auto mac = uses[0].mac;
        if (has == name) line = move_macs(line, {uses[0]}, {{mac, new_mac}});
        return has != name && mac == new_mac;
    });
    return join(lines, "\n");
}

}  // namespace slipway::fixup
