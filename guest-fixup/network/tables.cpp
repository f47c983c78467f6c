// SPDX-License-Identifier: GPL-3.0-or-later
// Where names are given to cards apart from systemd: udev's rules, /etc/iftab, nameif's /etc/mactab; wicked's XML; and
// which reader is for which file.
#include "guest-fixup/network/config.hpp"

namespace slipway::fixup {

namespace {

// The value after KEY== (or = or :=) in a rule; empty when it is not there.
std::string_view rule_value(std::string_view line, std::string_view key) {
    for (std::size_t at = 0; (at = line.find(key, at)) != std::string_view::npos; at += key.size()) {
        const auto before = at == 0 ? ' ' : line[at - 1];
        if (before != ' ' && before != ',' && before != '\t') continue;
        auto rest = line.substr(at + key.size());
        const auto quote = rest.find('"');
        if (quote == std::string_view::npos || quote > 3) continue;
        if (rest.substr(0, quote).find_first_not_of(":=") != std::string_view::npos) continue;
        rest.remove_prefix(quote + 1);
        return rest.substr(0, rest.find('"'));
    }
    return {};
}

struct Tag {
    std::string_view name;
    std::size_t after = 0;
    bool closes = false, empty = false;
};

std::optional<Tag> next_tag(std::string_view text, std::size_t from) {
    while (true) {
        const auto open = text.find('<', from);
        if (open == std::string_view::npos) return std::nullopt;
        if (text.substr(open).starts_with("<!--")) {
            from = text.find("-->", open);
            if (from == std::string_view::npos) return std::nullopt;
            continue;
        }
        const auto close = text.find('>', open);
        if (close == std::string_view::npos) return std::nullopt;
        auto inside = text.substr(open + 1, close - open - 1);
        Tag tag{.after = close + 1, .closes = inside.starts_with('/'), .empty = inside.ends_with('/')};
        if (tag.closes) inside.remove_prefix(1);
        tag.name = inside.substr(0, inside.find_first_of(" \t\r\n/"));
        return tag;
    }
}

}  // namespace

Reading read_udev_rules(std::string_view text) {
    Reading reading;
    for (const auto& line : lines_of(text)) {
        if (trimmed(line).text.starts_with('#')) continue;
        const auto name = rule_value(line.text, "NAME");
        if (rule_value(line.text, "SUBSYSTEM") != "net" && rule_value(line.text, "SUBSYSTEMS") != "net" && name.empty())
            continue;
        const auto macs = macs_in(line);
        reading.selectors.insert(reading.selectors.end(), macs.begin(), macs.end());
        if (name.empty() || name.find_first_of("$%") != std::string_view::npos) continue;
        Interface interface;
        interface.name = name;
        interface.names_only = true;
        if (!macs.empty()) interface.selects = macs[0].mac;
        else
            for (std::string_view key : {"KERNELS", "ID", "ENV{ID_PATH}", "ENV{ID_NET_NAME_PATH}",
                                         "ENV{ID_NET_NAME_SLOT}", "ENV{ID_NET_NAME_ONBOARD}"})
                if (const auto value = rule_value(line.text, key); !value.empty() && interface.hardware.empty())
                    interface.hardware = std::string(key) + "=" + std::string(value);
        if (interface.selects || !interface.hardware.empty()) reading.interfaces.push_back(std::move(interface));
    }
    return reading;
}

Reading read_table(std::string_view text) {
    Reading reading;
    for (const auto& line : lines_of(text)) {
        const auto words = words_of(line);
        if (words.empty() || words[0].text.starts_with('#')) continue;
        for (std::size_t i = 1; i < words.size(); ++i)
            for (const auto& use : macs_in(words[i])) {
                Interface interface;
                interface.name = words[0].text;
                interface.selects = use.mac;
                interface.names_only = true;
                reading.interfaces.push_back(std::move(interface));
                reading.selectors.push_back(use);
            }
    }
    return reading;
}

Reading read_kernel_arguments(std::string_view text) {
    constexpr std::string_view kArgument = "ifname=";
    Reading reading;
    for (const auto& line : lines_of(text)) {
        if (trimmed(line).text.starts_with('#')) continue;
        for (std::size_t at = 0; (at = line.text.find(kArgument, at)) != std::string_view::npos;
             at += kArgument.size()) {
            if (at > 0 && std::string_view(" \t\"'").find(line.text[at - 1]) == std::string_view::npos) continue;
            const auto value = line.from(at + kArgument.size());
            const auto end = value.text.find_first_of(" \t\"'");
            const auto word = value.from(0, end);
            const auto macs = macs_in(word);
            if (macs.size() != 1) continue;
            Interface interface;
            interface.name = word.text.substr(0, word.text.find(':'));
            interface.selects = macs[0].mac;
            interface.names_only = true;
            reading.interfaces.push_back(std::move(interface));
            reading.selectors.push_back(macs[0]);
        }
    }
    return reading;
}

// <interface><name>eth0</name> or <name namespace="ethernet"><permanent-address>MAC</permanent-address></name>;
// <ethernet><address>MAC sets one. Elements are told apart by their own names, which is enough for that.
Reading read_wicked(std::string_view text) {
    Reading reading;
    std::optional<Interface> current;
    bool in_ipv4_dhcp = false;
    auto finish = [&] {
        if (current && (!current->name.empty() || current->selects)) reading.interfaces.push_back(std::move(*current));
        current.reset();
    };
    for (auto tag = next_tag(text, 0); tag; tag = next_tag(text, tag->after)) {
        if (tag->name == "interface") {
            finish();
            if (!tag->closes && !tag->empty) current.emplace();
        }
        if (!current || tag->closes || tag->empty) {
            if (tag->name == "ipv4:dhcp") in_ipv4_dhcp = false;
            continue;
        }
        const Span value = trimmed({tag->after, text.substr(tag->after, text.find('<', tag->after) - tag->after)});
        if (tag->name == "ipv4:dhcp") in_ipv4_dhcp = true;
        if (tag->name == "enabled" && in_ipv4_dhcp) current->dhcp = value.text == "true";
        if (tag->name == "name" && current->name.empty()) {
            current->name = value.text;
            current->kind = kind_of_name(value.text);
        }
        const auto macs = macs_in(value);
        if (macs.empty()) continue;
        if (tag->name == "permanent-address" || tag->name == "hwaddr") {
            current->selects = macs[0].mac;
            reading.selectors.push_back(macs[0]);
        } else if (tag->name == "address") current->sets = macs[0].mac;
    }
    finish();
    return reading;
}

Reading read_config(const ConfigFile& file) {
    const std::string_view path = file.path, text = file.text;
    const auto below = [&](std::string_view directory) { return path.find(directory) != std::string_view::npos; };
    Reading reading;
    if (file.kind == ConfigKind::Text) return reading;
    if (file.kind == ConfigKind::CommandLine) reading = read_kernel_arguments(text);
    else if (file.kind == ConfigKind::Ifupdown) reading = read_ifupdown(text);
    else if (path.ends_with(".yaml") || path.ends_with(".yml") || below("/etc/cloud/")) reading = read_netplan(text);
    else if (below("/udev/rules.d/")) reading = read_udev_rules(text);
    else if (below("/systemd/network/")) reading = read_networkd(path, text);
    else if (below("/system-connections/")) reading = read_keyfile(text);
    else if (below("/NetworkManager/")) reading = read_networkmanager_conf(text);
    else if (path == "/etc/iftab" || path == "/etc/mactab") reading = read_table(text);
    else if (below("/wicked/")) reading = read_wicked(text);
    else if (below("/ifcfg-")) reading = read_ifcfg(path, text);
    else if (below("/etc/network/")) reading = read_ifupdown(text);
    for (auto& interface : reading.interfaces) interface.path = file.path;
    return reading;
}

}  // namespace slipway::fixup
