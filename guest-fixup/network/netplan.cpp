// SPDX-License-Identifier: GPL-3.0-or-later
// Netplan's YAML, and cloud-init's network configuration (version 2 is netplan's, version 1 a list). libyaml reads it
// as events: aliases are not followed, so that they cannot multiply, and each scalar has its place in the text, so that
// an edit leaves comments and layout alone. What is deeper, longer or more than a configuration is, is not looked at.
#include <yaml.h>

#include <algorithm>
#include <map>
#include <memory>
#include <set>

#include "guest-fixup/edits.hpp"
#include "guest-fixup/network/config.hpp"

namespace slipway::fixup {

namespace {

constexpr std::size_t kMostText = 256u << 10, kMostEvents = 50000, kMostLeaves = 10000, kDeepest = 8, kLongestKey = 64;
constexpr std::size_t kDeepestBrackets = 64;

struct Leaf {
    std::vector<std::string> path;  // keys; "[3]" in a list
    std::string value;
    Span span;
};

// libyaml counts characters; we need bytes. Its marks ascend.
class Places {
public:
    explicit Places(std::string_view text) : text_(text) {
        if (text_.starts_with("\xef\xbb\xbf")) byte_ = 3;
    }
    std::size_t byte_of(std::size_t character) {
        for (; character_ < character && byte_ < text_.size(); ++character_) {
            ++byte_;
            while (byte_ < text_.size() && (static_cast<unsigned char>(text_[byte_]) & 0xc0) == 0x80) ++byte_;
        }
        return byte_;
    }

private:
    std::string_view text_;
    std::size_t byte_ = 0, character_ = 0;
};

class Walker {
public:
    explicit Walker(std::string_view text) : text_(text), places_(text) {}
    // False: the text is no YAML, or more than is looked at.
    bool walk();
    std::vector<Leaf> leaves;
    bool aliases = false;

private:
    struct Frame {
        bool mapping = false, has_key = false;
        std::string key;
        std::size_t index = 0;
    };
    void take(const yaml_event_t& event);
    void scalar(const yaml_event_t& event);
    void add_leaf(std::string value, Span span);
    void value_done();

    std::string_view text_;
    Places places_;
    std::vector<Frame> frames_;
};

void Walker::value_done() {
    if (frames_.empty()) return;
    frames_.back().has_key = false;
    ++frames_.back().index;
}

void Walker::scalar(const yaml_event_t& event) {
    if (frames_.empty()) return;
    auto& top = frames_.back();
    std::string value(reinterpret_cast<const char*>(event.data.scalar.value), event.data.scalar.length);
    const auto begin = places_.byte_of(event.start_mark.index);
    if (top.mapping && !top.has_key) {
        top.has_key = true;
        top.key = value.size() <= kLongestKey ? std::move(value) : std::string();
        return;
    }
    const auto end = places_.byte_of(event.end_mark.index);
    add_leaf(std::move(value), {begin, text_.substr(begin, end - begin)});
    value_done();
}

void Walker::add_leaf(std::string value, Span span) {
    if (frames_.empty() || frames_.size() > kDeepest || leaves.size() >= kMostLeaves || value.size() > kLongestKey)
        return;
    Leaf leaf{{}, std::move(value), span};
    for (const auto& frame : frames_)
        leaf.path.push_back(frame.mapping ? frame.key : "[" + std::to_string(frame.index) + "]");
    leaves.push_back(std::move(leaf));
}

void Walker::take(const yaml_event_t& event) {
    switch (event.type) {
        case YAML_MAPPING_START_EVENT:
        case YAML_SEQUENCE_START_EVENT:
            // A mapping as a key: nothing of ours is called so.
            if (!frames_.empty() && frames_.back().mapping && !frames_.back().has_key) {
                frames_.back().has_key = true;
                frames_.back().key.clear();
            }
            frames_.push_back({.mapping = event.type == YAML_MAPPING_START_EVENT});
            break;
        case YAML_MAPPING_END_EVENT:
        case YAML_SEQUENCE_END_EVENT: {
            if (frames_.empty()) break;
            const bool empty = frames_.back().index == 0;
            frames_.pop_back();
            if (empty) add_leaf("", {});  // "ens3: {}" is a configuration
            value_done();
            break;
        }
        case YAML_SCALAR_EVENT: scalar(event); break;
        case YAML_ALIAS_EVENT:
            aliases = true;
            if (!frames_.empty() && frames_.back().mapping && !frames_.back().has_key) {
                frames_.back().has_key = true;
                frames_.back().key.clear();
            } else value_done();
            break;
        default: break;
    }
}

// libyaml looks at each open bracket for each word. Brackets in quotes are counted with the others: no configuration
// has that many.
bool looks_sane(std::string_view text) {
    if (text.size() > kMostText) return false;
    std::size_t depth = 0, line = 0;
    for (const char c : text) {
        if (c == '[' || c == '{') ++depth;
        if ((c == ']' || c == '}') && depth > 0) --depth;
        line = c == '\n' ? 0 : line + 1;
        if (depth > kDeepestBrackets || line > kLongestLine) return false;
    }
    return true;
}

bool Walker::walk() {
    if (!looks_sane(text_)) return false;
    yaml_parser_t parser;
    if (yaml_parser_initialize(&parser) == 0) return false;
    const std::unique_ptr<yaml_parser_t, decltype(&yaml_parser_delete)> owner(&parser, yaml_parser_delete);
    yaml_parser_set_input_string(&parser, reinterpret_cast<const unsigned char*>(text_.data()), text_.size());
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    for (std::size_t events = 0; events < kMostEvents; ++events) {
        yaml_event_t event;
        if (yaml_parser_parse(&parser, &event) == 0) return false;
        const std::unique_ptr<yaml_event_t, decltype(&yaml_event_delete)> each(&event, yaml_event_delete);
        if (event.type == YAML_STREAM_END_EVENT) return true;
        take(event);
    }
    return false;
}

bool is_true(std::string_view value) { return value == "true" || value == "yes" || value == "on" || value == "True"; }

struct Collector {
    Reading reading;
    std::map<std::string, Interface> found;
    std::map<std::string, std::string> match_names;
    std::map<std::string, MacUse> uses;
    std::set<std::string> matched;

    void select(const std::string& id, Interface& interface, const Leaf& leaf) {
        const auto macs = macs_in(leaf.span);
        if (macs.size() != 1) return;  // an escape in quotes, a block scalar
        interface.selects = macs[0].mac;
        uses[id] = macs[0];
    }

    // ethernets / ID / key …
    void version2(const std::vector<std::string>& path, const Leaf& leaf) {
        static const std::map<std::string, InterfaceKind> kinds{
            {"ethernets", InterfaceKind::Ethernet}, {"bonds", InterfaceKind::Bond},  {"vlans", InterfaceKind::Vlan},
            {"bridges", InterfaceKind::Bridge},     {"wifis", InterfaceKind::Other}, {"tunnels", InterfaceKind::Other}};
        const auto kind = kinds.find(path[0]);
        if (kind == kinds.end() || path.size() < 2) return;
        const auto id = path[0] + "/" + path[1];
        auto& interface = found[id];
        interface.kind = kind->second;
        interface.id = id;
        if (path.size() < 3) return;
        const auto& key = path[2];
        if (key == "match") match(id, path.size() == 4 ? path[3] : "", interface, leaf);
        else if (key == "set-name") interface.name = leaf.value;
        else if (key == "dhcp4" || key == "dhcp6") interface.dhcp = interface.dhcp || is_true(leaf.value);
        else if (key == "interfaces" || key == "link") interface.lower.push_back(leaf.value);
        else if (key == "macaddress") {
            if (const auto mac = MacAddress::parse(leaf.value)) interface.sets = mac;
        }
    }

    void match(const std::string& id, const std::string& key, Interface& interface, const Leaf& leaf) {
        matched.insert(id);
        if (key == "macaddress") select(id, interface, leaf);
        if (key == "driver") interface.hardware = "driver: " + leaf.value;
        if (key == "name") match_names[id] = leaf.value;
    }

    // config / [n] / key …, of cloud-init
    void version1(const std::vector<std::string>& path, const Leaf& leaf) {
        if (path.size() < 3) return;
        const auto id = "config/" + path[1];
        auto& interface = found[id];
        const auto& key = path[2];
        if (key == "type") {
            interface.kind = leaf.value == "physical" ? InterfaceKind::Ethernet
                             : leaf.value == "bond"   ? InterfaceKind::Bond
                             : leaf.value == "vlan"   ? InterfaceKind::Vlan
                             : leaf.value == "bridge" ? InterfaceKind::Bridge
                                                      : InterfaceKind::Other;
        } else if (key == "name") interface.name = leaf.value;
        else if (key == "mac_address") select(id, interface, leaf);
        else if (key == "bond_interfaces" || key == "bridge_interfaces" || key == "vlan_link")
            interface.lower.push_back(leaf.value);
        else if (key == "subnets" && path.size() == 5 && path[4] == "type")
            interface.dhcp = interface.dhcp || leaf.value.starts_with("dhcp");
    }

    void finish() {
        for (auto& [id, interface] : found) {
            if (interface.kind == InterfaceKind::Ethernet) name(id, interface);
            else if (interface.name.empty()) interface.name = id.substr(id.find('/') + 1);
            if (interface.kind != InterfaceKind::Ethernet && interface.selects) {
                interface.sets = interface.selects;  // version 1: a bond's own address
                interface.selects.reset();
                uses.erase(id);
            }
            reading.interfaces.push_back(std::move(interface));
        }
        for (const auto& [id, use] : uses) reading.selectors.push_back(use);
        std::sort(reading.selectors.begin(), reading.selectors.end(),
                  [](const MacUse& a, const MacUse& b) { return a.at < b.at; });
    }

    void name(const std::string& id, Interface& interface) {
        const auto pattern = match_names.find(id);
        if (interface.name.empty() && pattern != match_names.end() && !is_pattern(pattern->second))
            interface.name = pattern->second;
        if (interface.name.empty() && !matched.contains(id) && id.starts_with("ethernets/")) {
            interface.name = id.substr(id.find('/') + 1);
            interface.name_is_id = true;
        }
        interface.any = interface.name.empty() && !interface.selects && interface.hardware.empty();
    }
};

}  // namespace

Reading read_netplan(std::string_view text) {
    Walker walker(text);
    Collector collector;
    if (!walker.walk()) {
        collector.reading.notes.push_back("is no YAML that can be read here: it was left as it is");
        return std::move(collector.reading);
    }
    if (walker.aliases) collector.reading.notes.push_back("has YAML aliases, which were not followed");
    for (const auto& leaf : walker.leaves) {
        auto path = leaf.path;
        if (path[0] == "network") path.erase(path.begin());
        if (path.empty()) continue;
        if (path[0] == "config") collector.version1(path, leaf);
        else collector.version2(path, leaf);
    }
    collector.finish();
    return std::move(collector.reading);
}

}  // namespace slipway::fixup
