// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/network.hpp"

#include <algorithm>
#include <cctype>
#include <regex>

#include <fmt/format.h>

#include "guest-fixup/edits.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

const std::regex& mac_pattern() {
    static const std::regex pattern("(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}");
    return pattern;
}

// Without endless lines, see kLongestLine.
std::vector<std::string> lines_of(std::string_view text) {
    auto lines = split(text, '\n');
    std::erase_if(lines, [](const std::string& line) { return line.size() > kLongestLine; });
    return lines;
}

std::optional<MacAddress> mac_in(const std::string& line) {
    std::smatch match;
    if (!std::regex_search(line, match, mac_pattern())) return std::nullopt;
    return MacAddress::parse(match[0].str());
}

std::optional<std::string> captured(const std::string& line, const std::regex& pattern) {
    std::smatch match;
    if (!std::regex_search(line, match, pattern)) return std::nullopt;
    return match[1].str();
}

void add_interface(std::vector<std::string>& names, const std::string& name) {
    static constexpr std::string_view kOthers[] = {"lo",    "br",  "bond", "veth", "docker",
                                                   "virbr", "tun", "tap",  "wl",   "ww"};
    if (!valid_interface(name) || name.find('.') != std::string::npos) return;
    for (auto prefix : kOthers)
        if (name.starts_with(prefix)) return;
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

// The mappings directly below `ethernets:`.
void netplan_interfaces(std::string_view text, std::vector<std::string>& names) {
    std::size_t section = std::string_view::npos, child = std::string_view::npos;
    for (const auto& line : split(text, '\n')) {
        const auto indent = line.find_first_not_of(' ');
        if (indent == std::string::npos || line[indent] == '#') continue;
        const auto word = trim(line);
        if (section != std::string_view::npos && indent <= section) section = std::string_view::npos;
        if (word == "ethernets:") {
            section = indent;
            child = std::string_view::npos;
        } else if (section != std::string_view::npos && word.ends_with(':')) {
            if (child == std::string_view::npos) child = indent;
            if (indent == child) add_interface(names, std::string(word.substr(0, word.size() - 1)));
        }
    }
}

}  // namespace

bool valid_interface(std::string_view name) {
    return !name.empty() && name.size() <= 15 && name != "." && name != ".." &&
           std::all_of(name.begin(), name.end(), [](unsigned char c) {
               return c < 128 && (std::isalnum(c) || c == '-' || c == '_' || c == '.');
           });
}

bool kernel_reserved(std::string_view name) {
    static const std::regex pattern("(eth|wlan)[0-9]+");
    return std::regex_match(name.begin(), name.end(), pattern);
}

std::string link_file(std::string_view name, const MacAddress& mac) {
    return fmt::format(
        "# Written by Slipway: the interface keeps the name it had on the old machine.\n"
        "[Match]\nMACAddress={}\n\n[Link]\nName={}\n",
        mac.text(), name);
}

std::string persistent_rule(std::string_view name, const MacAddress& mac) {
    return fmt::format(
        "SUBSYSTEM==\"net\", ACTION==\"add\", DRIVERS==\"?*\", ATTR{{address}}==\"{}\", "
        "ATTR{{type}}==\"1\", NAME=\"{}\"\n",
        mac.text(), name);
}

std::string replace_macs(std::string_view text, const MacMap& new_by_old) {
    std::string out;
    std::cregex_iterator match(text.data(), text.data() + text.size(), mac_pattern()), end;
    std::size_t done = 0;
    for (; match != end; ++match) {
        const auto at = static_cast<std::size_t>(match->position());
        auto word = match->str();
        const auto mac = MacAddress::parse(word);
        const auto changed = mac ? new_by_old.find(*mac) : new_by_old.end();
        if (changed != new_by_old.end() && changed->second != *mac) {
            const bool dashes = word.find('-') != std::string::npos;
            word = changed->second.text();
            if (dashes) std::replace(word.begin(), word.end(), ':', '-');
        }
        out.append(text.substr(done, at - done)).append(word);
        done = at + static_cast<std::size_t>(match->length());
    }
    return out.append(text.substr(done));
}

std::string edit_persistent_rules(std::string_view text, std::string_view name, const MacAddress& new_mac) {
    static const std::regex named("NAME:?=\"([^\"]+)\"");
    auto lines = split(text, '\n');
    std::erase_if(lines, [&](std::string& line) {
        if (trim(line).starts_with('#')) return false;
        if (line.size() > kLongestLine) return false;
        auto has = captured(line, named);
        auto mac = mac_in(line);
        if (!has || !mac) return false;
        if (*has == name) line = replace_macs(line, {{*mac, new_mac}});
        return *has != name && *mac == new_mac;
    });
    return join(lines, "\n");
}

std::vector<NamedMac> named_macs(std::string_view text) {
    static const std::regex rule("NAME:?=\"([^\"]+)\"");
    static const std::regex setting("^\\s*(?:Name|DEVICE|interface-name|set-name)\\s*[=:]\\s*[\"']?([A-Za-z0-9._-]+)");
    static const std::regex address("^\\s*(?:MACAddress|PermanentMACAddress|HWADDR|mac-address|macaddress)\\s*[=:]",
                                    std::regex::icase);
    std::vector<NamedMac> found;
    std::optional<std::string> name;
    std::optional<MacAddress> mac;
    auto pair_up = [&] {
        if (!name || !mac) return;
        found.push_back({*name, *mac});
        name.reset();
        mac.reset();
    };
    for (const auto& line : lines_of(text)) {
        if (trim(line).starts_with('#')) continue;
        if (auto by_rule = captured(line, rule)) {
            if (auto rule_mac = mac_in(line)) found.push_back({*by_rule, *rule_mac});
            continue;
        }
        if (auto by_setting = captured(line, setting)) name = by_setting;
        if (std::regex_search(line, address)) mac = mac_in(line);
        pair_up();
    }
    return found;
}

std::vector<std::string> interfaces_in(std::string_view path, std::string_view text) {
    static const std::regex ifupdown("^\\s*iface\\s+(\\S+)\\s+inet");
    static const std::regex setting("^\\s*(?:DEVICE|Name|interface-name)\\s*=\\s*[\"']?([A-Za-z0-9._-]+)[\"']?\\s*$");
    std::vector<std::string> names;
    if (path.ends_with(".yaml")) netplan_interfaces(text, names);
    else
        for (const auto& line : lines_of(text))
            for (const auto* pattern : {&ifupdown, &setting})
                if (auto name = captured(line, *pattern)) add_interface(names, *name);
    return names;
}

}  // namespace slipway::fixup
