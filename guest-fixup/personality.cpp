// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/personality.hpp"

#include <arpa/inet.h>
#include <algorithm>
#include <functional>
#include <set>

#include <boost/json.hpp>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/network.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

namespace json = boost::json;

constexpr std::size_t kMostInterfaces = 32, kMostAddresses = 32, kMostKeys = 64, kMostScripts = 64;

bool only(std::string_view text, std::string_view also) {
    return std::all_of(text.begin(), text.end(), [&](char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               also.find(c) != std::string_view::npos;
    });
}

// ---- values of the document, each error with the member's place

Error wrong(std::string_view place, std::string_view what) {
    return make_error(errors::kPersonality, "{}: {}", place, what);
}

Result<std::string> text_of(const json::value& value, std::string_view place) {
    if (!value.is_string()) return wrong(place, "is not a text");
    return std::string(value.get_string());
}

using Check = bool (*)(std::string_view);

Result<std::string> checked(const json::value& value, std::string_view place, Check check) {
    auto text = TRY(text_of(value, place));
    if (!check(text)) return wrong(place, fmt::format("'{}' is not one", printable(text.substr(0, 80))));
    return text;
}

Result<std::vector<std::string>> checked_list(const json::value& value, std::string_view place, Check check) {
    if (!value.is_array()) return wrong(place, "is not a list");
    if (value.get_array().size() > kMostAddresses) return wrong(place, "has too many entries");
    std::vector<std::string> out;
    for (const auto& entry : value.get_array()) out.push_back(TRY(checked(entry, place, check)));
    return out;
}

// Calls member(name, value) for each member; a name it does not know is an error, for a typing error would lose a
// machine its address without a word.
Status each_member(const json::value& value, std::string_view place,
                   const std::function<Result<bool>(std::string_view, const json::value&)>& member) {
    if (!value.is_object()) return wrong(place, "is not an object");
    for (const auto& [name, inner] : value.get_object())
        if (!TRY(member(name, inner)))
            return wrong(place, fmt::format("has no member '{}'", printable(std::string_view(name).substr(0, 40))));
    return {};
}

Result<std::vector<const json::value*>> entries(const json::value& value, std::string_view place, std::size_t most) {
    if (!value.is_array()) return wrong(place, "is not a list");
    if (value.get_array().size() > most) return wrong(place, fmt::format("has more than {} entries", most));
    std::vector<const json::value*> out;
    for (const auto& entry : value.get_array()) out.push_back(&entry);
    return out;
}

// ---- the members

Result<InterfaceSetup> read_interface(const json::value& value) {
    constexpr std::string_view kPlace = "interfaces";
    InterfaceSetup setup;
    std::string method;
    TRY(each_member(value, kPlace, [&](std::string_view name, const json::value& inner) -> Result<bool> {
        const auto place = fmt::format("interfaces: {}", name);
        if (name == "name") setup.name = TRY(checked(inner, place, valid_adapter_name));
        else if (name == "mac") {
            setup.mac = MacAddress::parse(TRY(text_of(inner, place)));
            if (!setup.mac || setup.mac->is_multicast() || setup.mac->is_zero())
                return wrong(place, "is no card's address");
        } else if (name == "method") method = TRY(text_of(inner, place));
        else if (name == "addresses") setup.addresses = TRY(checked_list(inner, place, valid_prefix));
        else if (name == "gateways") setup.gateways = TRY(checked_list(inner, place, valid_ip));
        else if (name == "dns") setup.dns = TRY(checked_list(inner, place, valid_ip));
        else if (name == "search") setup.search = TRY(checked_list(inner, place, valid_host_name));
        else return false;
        return true;
    }));
    if (setup.name.empty() && !setup.mac) return wrong(kPlace, "an entry needs a name or a mac");
    if (method != "dhcp" && method != "static") return wrong(kPlace, "method is dhcp or static");
    setup.dhcp = method == "dhcp";
    if (setup.dhcp != setup.addresses.empty())
        return wrong(kPlace, "addresses go with the method static, and with it alone");
    if (setup.dhcp && !setup.gateways.empty()) return wrong(kPlace, "a gateway goes with the method static");
    const auto sixes = std::count_if(setup.gateways.begin(), setup.gateways.end(), is_ipv6);
    if (sixes > 1 || setup.gateways.size() - static_cast<std::size_t>(sixes) > 1)
        return wrong(kPlace, "there is one gateway of each family");
    return setup;
}

Result<AuthorizedKey> read_key(const json::value& value) {
    AuthorizedKey key{"root", ""};
    TRY(each_member(value, "authorized_keys", [&](std::string_view name, const json::value& inner) -> Result<bool> {
        if (name == "user") key.user = TRY(checked(inner, "authorized_keys: user", valid_user_name));
        else if (name == "key") key.key = TRY(checked(inner, "authorized_keys: key", valid_public_key));
        else return false;
        return true;
    }));
    if (key.key.empty()) return wrong("authorized_keys", "an entry needs a key");
    return key;
}

Result<FirstBootScript> read_script(const json::value& value) {
    FirstBootScript script;
    TRY(each_member(value, "first_boot", [&](std::string_view name, const json::value& inner) -> Result<bool> {
        if (name == "name") script.name = TRY(checked(inner, "first_boot: name", valid_script_name));
        else if (name == "script") script.text = TRY(text_of(inner, "first_boot: script"));
        else return false;
        return true;
    }));
    if (script.name.empty()) return wrong("first_boot", "an entry needs a name");
    if (!script.text.starts_with("#!/") && !script.text.starts_with('@'))
        return wrong("first_boot", fmt::format("{} begins neither with #!/ nor with @ (Windows)", script.name));
    return script;
}

Result<WindowsSetup> read_windows(const json::value& value) {
    WindowsSetup setup;
    struct Row {
        std::string_view name;
        std::string WindowsSetup::*member;
        Check check;
    };
    static constexpr Row kRows[] = {
        {"product_key", &WindowsSetup::product_key, valid_product_key},
        {"owner", &WindowsSetup::owner, valid_answer},
        {"organization", &WindowsSetup::organization, valid_answer},
        {"administrator_password", &WindowsSetup::administrator_password, valid_answer},
        {"workgroup", &WindowsSetup::workgroup, valid_host_name},
        {"domain", &WindowsSetup::domain, valid_host_name},
        {"domain_user", &WindowsSetup::domain_user, valid_answer},
        {"domain_password", &WindowsSetup::domain_password, valid_answer},
        {"domain_ou", &WindowsSetup::domain_ou, valid_answer},
    };
    TRY(each_member(value, "windows", [&](std::string_view name, const json::value& inner) -> Result<bool> {
        for (const auto& row : kRows) {
            if (row.name != name) continue;
            auto text = TRY(text_of(inner, name));
            // The text itself is not said: it may be a password.
            if (!row.check(text)) return wrong(fmt::format("windows: {}", name), "is not a good one");
            setup.*row.member = std::move(text);
            return true;
        }
        return false;
    }));
    if (!setup.workgroup.empty() && !setup.domain.empty()) return wrong("windows", "has a workgroup and a domain");
    if (setup.domain.empty() != setup.domain_user.empty() || setup.domain.empty() != setup.domain_password.empty())
        return wrong("windows", "a domain goes with domain_user and domain_password");
    return setup;
}

Status read_machine_id(const json::value& value, Personality& out) {
    const auto text = TRY(text_of(value, "machine_id"));
    if (text == "keep") out.machine_id = MachineId::Keep;
    else if (text == "new") out.machine_id = MachineId::New;
    else if (text == "uninitialized") out.machine_id = MachineId::Uninitialized;
    else if (valid_machine_id(text)) {
        out.machine_id = MachineId::Given;
        out.given_machine_id = text;
    } else return wrong("machine_id", "is keep, new, uninitialized or 32 hexadecimal digits in lower case");
    return {};
}

Status read_lists(std::string_view name, const json::value& value, Personality& out) {
    if (name == "interfaces") {
        out.interfaces.clear();
        for (const auto* entry : TRY(entries(value, name, kMostInterfaces)))
            out.interfaces.push_back(TRY(read_interface(*entry)));
    } else if (name == "authorized_keys") {
        out.authorized_keys.clear();
        for (const auto* entry : TRY(entries(value, name, kMostKeys)))
            out.authorized_keys.push_back(TRY(read_key(*entry)));
    } else {
        out.first_boot.clear();
        for (const auto* entry : TRY(entries(value, name, kMostScripts)))
            out.first_boot.push_back(TRY(read_script(*entry)));
    }
    return {};
}

Result<bool> read_member(std::string_view name, const json::value& value, Personality& out) {
    if (name == "hostname") out.host_name = TRY(checked(value, name, valid_host_name));
    else if (name == "machine_id") TRY(read_machine_id(value, out));
    else if (name == "ssh_host_keys") {
        const auto text = TRY(text_of(value, name));
        if (text != "new" && text != "keep") return wrong(name, "is new or keep");
        out.new_ssh_host_keys = text == "new";
    } else if (name == "windows") out.windows = TRY(read_windows(value));
    else if (name == "timezone") out.time_zone = TRY(checked(value, name, valid_time_zone));
    else if (name == "locale") out.locale = TRY(checked(value, name, valid_locale));
    else if (name == "interfaces" || name == "authorized_keys" || name == "first_boot")
        TRY(read_lists(name, value, out));
    else return false;
    return true;
}

Status check_names(const Personality& personality) {
    std::set<std::string> names;
    for (const auto& script : personality.first_boot)
        if (!names.insert(script.name).second) return wrong("first_boot", script.name + " is there twice");
    names.clear();
    for (const auto& setup : personality.interfaces)
        for (const auto& key : {setup.name, setup.mac ? setup.mac->text() : std::string()})
            if (!key.empty() && !names.insert(key).second) return wrong("interfaces", key + " is there twice");
    return {};
}

}  // namespace

Result<Personality> parse_personality(std::string_view text, std::string_view device) {
    if (text.size() > kLongestPersonality) return wrong("the personality", "is longer than 1 MiB");
    json::parse_options options;
    options.max_depth = 8;
    boost::system::error_code failed;
    const auto document = json::parse(json::string_view(text.data(), text.size()), failed, {}, options);
    if (failed) return wrong("the personality", "is not JSON: " + failed.message());
    Personality out;
    const json::value* devices = nullptr;
    auto member = [&](std::string_view name, const json::value& value) -> Result<bool> {
        return read_member(name, value, out);
    };
    TRY(each_member(document, "the personality", [&](std::string_view name, const json::value& value) -> Result<bool> {
        if (name != "devices") return member(name, value);
        devices = &value;
        return true;
    }));
    if (devices) {
        if (!devices->is_object()) return wrong("devices", "is not an object");
        const auto* own = devices->get_object().if_contains(json::string_view(device.data(), device.size()));
        if (!own) return wrong("devices", fmt::format("there is none named '{}'", printable(device)));
        TRY(each_member(*own, fmt::format("devices: {}", printable(device)), member));
    }
    TRY(check_names(out));
    return out;
}

bool valid_host_name(std::string_view name) {
    if (name.empty() || name.size() > 64) return false;
    for (const auto& label : split(name, '.'))
        if (label.empty() || label.size() > 63 || !only(label, "-") || label.front() == '-' || label.back() == '-')
            return false;
    return true;
}

bool valid_machine_id(std::string_view id) {
    return id.size() == 32 && id.find_first_not_of("0123456789abcdef") == std::string_view::npos &&
           id.find_first_not_of('0') != std::string_view::npos;
}

bool valid_time_zone(std::string_view zone) {
    if (zone.empty() || zone.size() > 64 || !only(zone, "_+-/")) return false;
    const auto parts = split(zone, '/');
    return std::none_of(parts.begin(), parts.end(), [](const auto& part) { return part.empty() || part[0] == '-'; });
}

bool valid_locale(std::string_view locale) {
    return !locale.empty() && locale.size() <= 64 && only(locale, "_.@-") && locale[0] != '.' && locale[0] != '-';
}

bool valid_user_name(std::string_view name) {
    return !name.empty() && name.size() <= 32 && only(name, "_.-") && name[0] != '.' && name[0] != '-';
}

bool valid_public_key(std::string_view line) {
    if (line.size() > 16384 || printable(line) != line) return false;
    const auto words = split(line, ' ');
    static constexpr std::string_view kTypes[] = {"ssh-ed25519",
                                                  "ssh-rsa",
                                                  "ecdsa-sha2-nistp256",
                                                  "ecdsa-sha2-nistp384",
                                                  "ecdsa-sha2-nistp521",
                                                  "sk-ssh-ed25519@openssh.com",
                                                  "sk-ecdsa-sha2-nistp256@openssh.com"};
    return words.size() >= 2 && std::find(std::begin(kTypes), std::end(kTypes), words[0]) != std::end(kTypes) &&
           words[1].starts_with("AAAA") && only(words[1], "+/=");
}

bool valid_script_name(std::string_view name) {
    return !name.empty() && name.size() <= 40 && only(name, "_-") && name[0] != '-';
}

bool valid_ip(std::string_view text) {
    if (text.size() > 45) return false;
    unsigned char bytes[16];
    const std::string ip(text);  // an embedded NUL would end it early
    return only(ip, ".:") &&
           (::inet_pton(AF_INET, ip.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, ip.c_str(), bytes) == 1);
}

bool valid_product_key(std::string_view key) {
    const auto groups = split(key, '-');
    return groups.size() == 5 && std::all_of(groups.begin(), groups.end(), [](const std::string& group) {
               return group.size() == 5 && std::all_of(group.begin(), group.end(), [](char c) {
                          return (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
                      });
           });
}

bool valid_answer(std::string_view text) {
    return !text.empty() && text.size() <= 127 && printable(text) == text && trim(text) == text;
}

bool is_ipv6(std::string_view ip) { return ip.find(':') != std::string_view::npos; }

bool valid_prefix(std::string_view text) {
    const auto slash = text.find('/');
    if (slash == std::string_view::npos || !valid_ip(text.substr(0, slash))) return false;
    const auto length = parse_u64(text.substr(slash + 1));
    return length && *length >= 1 && *length <= (is_ipv6(text) ? 128u : 32u);
}

}  // namespace slipway::fixup
