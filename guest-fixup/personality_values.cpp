// SPDX-License-Identifier: GPL-3.0-or-later
#include <boost/json.hpp>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/personality.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

namespace json = boost::json;

Error wrong(std::string_view what, std::string_view text) {
    return make_error(errors::kPersonality, "{}: '{}'", what, printable(text.substr(0, 120)));
}

Result<json::object> object_of(std::string_view document) {
    if (document.empty()) return json::object();
    if (document.size() > kLongestPersonality) return wrong("the personality is longer than 1 MiB", "");
    json::parse_options options;
    options.max_depth = 8;
    boost::system::error_code failed;
    auto value = json::parse(json::string_view(document.data(), document.size()), failed, {}, options);
    if (failed || !value.is_object()) return wrong("the personality is no JSON object", document.substr(0, 40));
    return std::move(value.get_object());
}

// "ens3=10.0.0.5/24,gateway=10.0.0.1,dns=10.0.0.53,search=example.org" or "ens3=dhcp"; what is in it is checked with
// the document.
Result<json::object> interface_of(std::string_view text) {
    const auto equals = text.find('=');
    if (equals == std::string_view::npos) return wrong("not INTERFACE=dhcp or INTERFACE=ADDRESS/LENGTH", text);
    const auto key = trim(text.substr(0, equals));
    json::object out;
    out[MacAddress::parse(key) ? "mac" : "name"] = json::string_view(key.data(), key.size());
    json::array addresses, gateways, dns, search;
    bool dhcp = false;
    for (const auto& part : split(text.substr(equals + 1), ',')) {
        const auto word = trim(part);
        const auto split_at = word.find('=');
        const auto name = split_at == std::string_view::npos ? std::string_view() : word.substr(0, split_at);
        const std::string value(split_at == std::string_view::npos ? word : word.substr(split_at + 1));
        if (name.empty() && value == "dhcp") dhcp = true;
        else if (name.empty()) addresses.emplace_back(value);
        else if (name == "gateway") gateways.emplace_back(value);
        else if (name == "dns") dns.emplace_back(value);
        else if (name == "search") search.emplace_back(value);
        else return wrong("an interface has no " + std::string(name), text);
    }
    out["method"] = dhcp ? "dhcp" : "static";
    if (!addresses.empty()) out["addresses"] = std::move(addresses);
    if (!gateways.empty()) out["gateways"] = std::move(gateways);
    if (!dns.empty()) out["dns"] = std::move(dns);
    if (!search.empty()) out["search"] = std::move(search);
    return out;
}

json::array& list_of(json::object& document, std::string_view name) {
    auto& value = document[json::string_view(name.data(), name.size())];
    if (!value.is_array()) value = json::array();
    return value.get_array();
}

Status set_value(json::object& out, const std::string& name, const std::string& value) {
    if (name == "hostname" || name == "timezone" || name == "locale") out[name] = value;
    else if (name == "machine-id") out["machine_id"] = value;
    else if (name == "ssh-host-keys") out["ssh_host_keys"] = value;
    else if (name == "addresses") {
        auto& interfaces = list_of(out, "interfaces");
        interfaces.clear();
        for (const auto& part : split(value, ';'))
            if (!trim(part).empty()) interfaces.push_back(TRY(interface_of(trim(part))));
    } else if (name == "authorized-key") list_of(out, "authorized_keys").push_back({{"user", "root"}, {"key", value}});
    else if (name == "join-script") {
        auto& scripts = list_of(out, "first_boot");
        scripts.insert(scripts.begin(), json::value{{"name", "join"}, {"script", value}});
    } else if (name == "first-boot-script")
        list_of(out, "first_boot").push_back({{"name", "first-boot"}, {"script", value}});
    else return wrong("no such value", name);
    return {};
}

// The members that a value takes the place of.
constexpr std::pair<std::string_view, std::string_view> kReplaced[] = {
    {"hostname", "hostname"},     {"timezone", "timezone"},           {"locale", "locale"},
    {"machine-id", "machine_id"}, {"ssh-host-keys", "ssh_host_keys"}, {"addresses", "interfaces"}};

json::string_view key(std::string_view name) { return {name.data(), name.size()}; }

bool is_given(const PersonalityValues& values, std::string_view member) {
    for (const auto& [value, replaced] : kReplaced)
        if (replaced == member)
            if (const auto found = values.find(value); found != values.end() && !found->second.empty()) return true;
    return false;
}

// Of a device without an entry: is what the others are told one by one said of all?
Status check_served(const json::object& devices, const json::object& of_all, std::string_view device,
                    const PersonalityValues& values) {
    if (device.empty()) return wrong("the personality has devices: say which is meant", device);
    if (of_all.empty()) return wrong("the personality's devices have none of this name", device);
    for (const auto& [name, entry] : devices) {
        if (!entry.is_object()) return wrong("a device of the personality is not an object", std::string_view(name));
        for (const auto& [member, value] : entry.get_object())
            if (!of_all.contains(member) && !is_given(values, std::string_view(member)))
                return wrong(fmt::format("the personality's devices have none of this name, and what is said of all "
                                         "has no {}",
                                         printable(std::string_view(member).substr(0, 40))),
                             device);
    }
    return {};
}

// Without "devices": what is said of this one in place of what is said of all.
Status choose_device(json::object& document, std::string_view device, const PersonalityValues& values) {
    const auto* found = document.if_contains("devices");
    if (!found) return {};
    if (!found->is_object()) return wrong("the personality's devices are not an object", "");
    const auto devices = found->get_object();
    document.erase("devices");
    const auto* own = devices.if_contains(key(device));
    if (!own) return check_served(devices, document, device, values);
    if (!own->is_object()) return wrong("a device of the personality is not an object", device);
    if (own->get_object().contains("devices")) return wrong("a device of the personality has devices", device);
    for (const auto& [name, value] : own->get_object()) document[name] = value;
    return {};
}

std::string quoted(const json::value& value) {
    return value.is_string() ? fmt::format(" '{}'", printable(std::string_view(value.get_string()).substr(0, 80))) : "";
}

std::vector<std::string> replaced_by(const json::object& before, const json::object& after) {
    std::vector<std::string> out;
    for (const auto& [value, member] : kReplaced) {
        const auto* old = before.if_contains(key(member));
        const auto* now = after.if_contains(key(member));
        if (old && now && *old != *now)
            out.push_back(fmt::format("the personality's {}{} is not used: {}{} was given, which comes before it",
                                      member, quoted(*old), value, quoted(*now)));
    }
    return out;
}

}  // namespace

Result<std::string> personality_of(std::string_view document, std::string_view device, const PersonalityValues& values,
                                   std::vector<std::string>* overruled) {
    auto out = TRY(object_of(document));
    TRY(choose_device(out, device, values));
    if (!out.empty()) (void)TRY(parse_personality(json::serialize(out)));
    const auto before = out;
    for (const auto& [name, value] : values)
        if (!value.empty()) TRY(set_value(out, name, value));
    if (overruled) *overruled = replaced_by(before, out);
    if (out.empty()) return std::string();
    auto text = json::serialize(out);
    (void)TRY(parse_personality(text));
    return text;
}

}  // namespace slipway::fixup
