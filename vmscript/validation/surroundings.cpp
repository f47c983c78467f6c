// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmscript/validation/surroundings.hpp"

#include <boost/json.hpp>

#include "lib/base/strings.hpp"
#include "lib/base/xml.hpp"
#include "vmscript/errors.hpp"

namespace slipway::vmscript {

namespace json = boost::json;

namespace {

std::string text(const json::object& o, std::string_view key) {
    const auto* v = o.if_contains(key);
    return v && v->is_string() ? std::string(v->get_string()) : std::string();
}

Result<json::value> parse(std::string_view from, std::string_view what) {
    json::error_code failed;
    auto value = json::parse(from, failed);
    if (failed) return make_error(errors::kBadValue, "{}: not JSON: {}", what, failed.message());
    return value;
}

// An array, or an object whose member is one.
const json::array* rows_of(const json::value& value, std::string_view member) {
    if (value.is_array()) return &value.get_array();
    const auto* found = value.is_object() ? value.get_object().if_contains(member) : nullptr;
    return found && found->is_array() ? &found->get_array() : nullptr;
}

KnownDevice device_of(const json::object& o) {
    KnownDevice d{text(o, "name"), text(o, "kind"), text(o, "state"), text(o, "power_driver"), {}, {}};
    if (const auto* agent = o.if_contains("agent"); agent && agent->is_object())
        d.agent_state = text(agent->get_object(), "state");
    if (const auto* macs = o.if_contains("macs"); macs && macs->is_array())
        for (const auto& mac : macs->get_array())
            if (auto parsed = mac.is_string() ? MacAddress::parse(std::string_view(mac.get_string())) : std::nullopt)
                d.macs.push_back(parsed->text());
    return d;
}

}  // namespace

Result<std::vector<KnownDevice>> read_device_list(std::string_view from) {
    auto value = TRY(parse(from, "--devicelist"));
    const auto* rows = rows_of(value, "items");
    if (!rows) return make_error(errors::kBadValue, "--devicelist: no list of devices: slipway device list --json");
    std::vector<KnownDevice> out;
    for (const auto& row : *rows) {
        if (!row.is_object() || text(row.get_object(), "name").empty())
            return make_error(errors::kBadValue, "--devicelist: an entry has no name: slipway device list --json");
        out.push_back(device_of(row.get_object()));
    }
    return out;
}

Result<AgentDrivers> read_agent_drivers(std::string_view from) {
    auto value = TRY(parse(from, "--agentdrivers"));
    const auto* rows = value.is_object() ? rows_of(value, "missing") : nullptr;
    if (!rows)
        return make_error(errors::kBadValue, "--agentdrivers: no list 'missing': slipway-ramdisk drivers --json");
    AgentDrivers out{text(value.get_object(), "kernel_version"), {}};
    for (const auto& row : *rows) {
        if (!row.is_object()) return make_error(errors::kBadValue, "--agentdrivers: an entry is no object");
        const auto& o = row.get_object();
        const auto* fatal = o.if_contains("fatal");
        out.missing.push_back({text(o, "kind"), text(o, "id"), text(o, "name"), text(o, "why"),
                               fatal && fatal->is_bool() && fatal->get_bool()});
    }
    return out;
}

Result<std::vector<DriversFileEntry>> read_drivers_file(std::string_view from) {
    tinyxml2::XMLDocument document;
    if (auto parsed = parse_xml(document, from); !parsed)
        return make_error(errors::kBadValue, "--servicedriverstate: {}", parsed.error().message());
    using Kind = DriversFileEntry::Kind;
    std::vector<DriversFileEntry> out;
    for (const auto* e = document.RootElement()->FirstChildElement(); e != nullptr; e = e->NextSiblingElement()) {
        const std::string_view element = e->Name();
        auto name = xml_attribute(*e, "Name");
        if (name.empty()) continue;
        if (element == "Service") out.push_back({Kind::Service, std::move(name)});
        else if (element == "Driver") out.push_back({Kind::Driver, std::move(name)});
        else if (element == "Program") out.push_back({Kind::Program, std::move(name)});
    }
    return out;
}

Result<Surroundings> read_surroundings(const Switches& s) {
    Surroundings out;
    if (!s.device_list.empty()) out.devices = TRY(read_device_list(s.device_list));
    if (!s.agent_drivers.empty()) out.agent_drivers = TRY(read_agent_drivers(s.agent_drivers));
    if (!s.service_driver_state.empty()) out.drivers_file = TRY(read_drivers_file(s.service_driver_state));
    return out;
}

bool name_matches(std::string_view pattern, std::string_view name) {
    // The last '*' may take more; nothing before it ever needs to.
    std::size_t p = 0, n = 0, star = std::string_view::npos, mark = 0;
    auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
    while (n < name.size()) {
        if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            mark = n;
        } else if (p < pattern.size() && lower(pattern[p]) == lower(name[n])) {
            ++p, ++n;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            n = ++mark;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

}  // namespace slipway::vmscript
