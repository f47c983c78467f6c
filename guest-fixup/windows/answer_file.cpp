// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/answer_file.hpp"

#include <algorithm>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/forget.hpp"
#include "guest-fixup/windows/first_boot.hpp"
#include "guest-fixup/windows/places.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

// Names: Unicode CLDR, windowsZones. Numbers: Microsoft, "TimeZone" of Unattend.txt.
constexpr TimeZoneName kZones[] = {
    {"America/Anchorage", "Alaskan Standard Time", 3},
    {"America/Chicago", "Central Standard Time", 20},
    {"America/Denver", "Mountain Standard Time", 10},
    {"America/Halifax", "Atlantic Standard Time", 50},
    {"America/Los_Angeles", "Pacific Standard Time", 4},
    {"America/New_York", "Eastern Standard Time", 35},
    {"America/Phoenix", "US Mountain Standard Time", 15},
    {"America/Sao_Paulo", "E. South America Standard Time", 65},
    {"America/Toronto", "Eastern Standard Time", 35},
    {"Asia/Hong_Kong", "China Standard Time", 210},
    {"Asia/Kolkata", "India Standard Time", 190},
    {"Asia/Seoul", "Korea Standard Time", 230},
    {"Asia/Shanghai", "China Standard Time", 210},
    {"Asia/Singapore", "Singapore Standard Time", 215},
    {"Asia/Taipei", "Taipei Standard Time", 220},
    {"Asia/Tokyo", "Tokyo Standard Time", 235},
    {"Australia/Brisbane", "E. Australia Standard Time", 260},
    {"Australia/Melbourne", "AUS Eastern Standard Time", 255},
    {"Australia/Perth", "W. Australia Standard Time", 225},
    {"Australia/Sydney", "AUS Eastern Standard Time", 255},
    {"Europe/Amsterdam", "W. Europe Standard Time", 110},
    {"Europe/Athens", "GTB Standard Time", 130},
    {"Europe/Belgrade", "Central Europe Standard Time", 95},
    {"Europe/Berlin", "W. Europe Standard Time", 110},
    {"Europe/Brussels", "Romance Standard Time", 105},
    {"Europe/Budapest", "Central Europe Standard Time", 95},
    {"Europe/Copenhagen", "Romance Standard Time", 105},
    {"Europe/Dublin", "GMT Standard Time", 85},
    {"Europe/Helsinki", "FLE Standard Time", 125},
    {"Europe/Kiev", "FLE Standard Time", 125},
    {"Europe/Kyiv", "FLE Standard Time", 125},
    {"Europe/Lisbon", "GMT Standard Time", 85},
    {"Europe/London", "GMT Standard Time", 85},
    {"Europe/Luxembourg", "W. Europe Standard Time", 110},
    {"Europe/Madrid", "Romance Standard Time", 105},
    {"Europe/Moscow", "Russian Standard Time", 145},
    {"Europe/Oslo", "W. Europe Standard Time", 110},
    {"Europe/Paris", "Romance Standard Time", 105},
    {"Europe/Prague", "Central Europe Standard Time", 95},
    {"Europe/Rome", "W. Europe Standard Time", 110},
    {"Europe/Stockholm", "W. Europe Standard Time", 110},
    {"Europe/Vienna", "W. Europe Standard Time", 110},
    {"Europe/Warsaw", "Central European Standard Time", 100},
    {"Europe/Zurich", "W. Europe Standard Time", 110},
    {"Pacific/Auckland", "New Zealand Standard Time", 290},
    {"Pacific/Honolulu", "Hawaiian Standard Time", 2},
};

std::string xml_text(std::string_view text) {
    std::string out;
    for (const char c : text) switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            default: out += c;
        }
    return out;
}

std::string element(int depth, std::string_view name, std::string_view text) {
    if (text.empty()) return "";
    return fmt::format("{:{}}<{}>{}</{}>\n", "", depth * 2, name, xml_text(text), name);
}

std::string component(std::string_view name, std::string_view architecture, const std::string& inner) {
    if (inner.empty()) return "";
    return fmt::format(
        "    <component name=\"{}\" processorArchitecture=\"{}\" publicKeyToken=\"31bf3856ad364e35\" "
        "language=\"neutral\" versionScope=\"nonSxS\">\n{}    </component>\n",
        name, architecture, inner);
}

std::string settings(std::string_view pass, const std::string& inner) {
    return inner.empty() ? "" : fmt::format("  <settings pass=\"{}\">\n{}  </settings>\n", pass, inner);
}

// "52-54-00-12-34-56": how an answer file names an adapter.
std::string dashed(const MacAddress& mac) {
    auto text = mac.text();
    for (auto& c : text)
        if (c == ':') c = '-';
    return text;
}

std::string list_item(int depth, std::string_view name, std::size_t number, std::string_view text) {
    return fmt::format("{:{}}<{} wcm:action=\"add\" wcm:keyValue=\"{}\">{}</{}>\n", "", depth * 2, name, number,
                       xml_text(text), name);
}

std::string tcpip(const Personality& personality) {
    std::string out;
    for (const auto& setup : personality.interfaces) {
        if (!setup.mac || setup.dhcp) continue;
        std::string addresses, routes;
        std::size_t number = 0;
        for (const auto& address : setup.addresses) addresses += list_item(6, "IpAddress", ++number, address);
        number = 0;
        for (const auto& gateway : setup.gateways)
            routes += fmt::format(
                "            <Route wcm:action=\"add\">\n              <Identifier>{}</Identifier>\n"
                "              <Prefix>{}</Prefix>\n              <NextHopAddress>{}</NextHopAddress>\n"
                "            </Route>\n",
                number++, is_ipv6(gateway) ? "::/0" : "0.0.0.0/0", gateway);
        if (!routes.empty()) routes = "          <Routes>\n" + routes + "          </Routes>\n";
        out += fmt::format(
            "        <Interface wcm:action=\"add\">\n          <Identifier>{}</Identifier>\n"
            "          <Ipv4Settings>\n            <DhcpEnabled>false</DhcpEnabled>\n          </Ipv4Settings>\n"
            "          <UnicastIpAddresses>\n{}          </UnicastIpAddresses>\n{}        </Interface>\n",
            dashed(*setup.mac), addresses, routes);
    }
    return out.empty() ? "" : "      <Interfaces>\n" + out + "      </Interfaces>\n";
}

std::string dns(const Personality& personality) {
    std::string out;
    for (const auto& setup : personality.interfaces) {
        if (!setup.mac || setup.dns.empty()) continue;
        std::string servers;
        std::size_t number = 0;
        for (const auto& server : setup.dns) servers += list_item(6, "IpAddress", ++number, server);
        out += fmt::format(
            "        <Interface wcm:action=\"add\">\n          <Identifier>{}</Identifier>\n"
            "{}          <DNSServerSearchOrder>\n{}          </DNSServerSearchOrder>\n        </Interface>\n",
            dashed(*setup.mac), setup.search.empty() ? "" : element(5, "DNSDomain", setup.search[0]), servers);
    }
    return out.empty() ? "" : "      <Interfaces>\n" + out + "      </Interfaces>\n";
}

std::string join_xml(const WindowsSetup& setup) {
    std::string inner;
    if (!setup.workgroup.empty()) inner = element(4, "JoinWorkgroup", setup.workgroup);
    else if (!setup.domain.empty())
        inner = "        <Credentials>\n" + element(5, "Domain", setup.domain) +
                element(5, "Password", setup.domain_password) + element(5, "Username", setup.domain_user) +
                "        </Credentials>\n" + element(4, "JoinDomain", setup.domain) +
                element(4, "MachineObjectOU", setup.domain_ou);
    return inner.empty() ? "" : "      <Identification>\n" + inner + "      </Identification>\n";
}

// A value in quotes: '"' doubled; '%' doubled, or it would begin a string's name.
std::string inf_value(std::string_view text) {
    std::string out = "\"";
    for (const char c : text) {
        if (c == '"' || c == '%') out += c;
        out += c;
    }
    return out + "\"";
}

std::string inf_line(std::string_view key, std::string_view text) {
    return text.empty() ? "" : fmt::format("{}={}\n", key, inf_value(text));
}

}  // namespace

const TimeZoneName* windows_time_zone(std::string_view olson) {
    for (const auto& zone : kZones)
        if (zone.olson == olson) return &zone;
    return nullptr;
}

std::string windows_locale(std::string_view locale) {
    const auto name = locale.substr(0, locale.find_first_of(".@"));
    if (name.size() != 5 || name[2] != '_') return "";
    return fmt::format("{}-{}", name.substr(0, 2), name.substr(3));
}

std::optional<std::string> computer_name(std::string_view host_name) {
    const auto label = host_name.substr(0, host_name.find('.'));
    if (label.size() > 15) return std::nullopt;
    return std::string(label);
}

std::string unattend_xml(const Personality& personality, Architecture architecture) {
    const auto& setup = *personality.windows;
    const auto machine = name_of(architecture);
    const auto* zone = windows_time_zone(personality.time_zone);
    const auto specialize =
        component("Microsoft-Windows-Shell-Setup", machine,
                  element(3, "ComputerName", computer_name(personality.host_name).value_or("")) +
                      element(3, "ProductKey", setup.product_key) +
                      element(3, "RegisteredOrganization", setup.organization) +
                      element(3, "RegisteredOwner", setup.owner) + element(3, "TimeZone", zone ? zone->windows : "")) +
        component("Microsoft-Windows-TCPIP", machine, tcpip(personality)) +
        component("Microsoft-Windows-DNS-Client", machine, dns(personality)) +
        component("Microsoft-Windows-UnattendedJoin", machine, join_xml(setup));
    const auto locale = windows_locale(personality.locale);
    std::string accounts;
    if (!setup.administrator_password.empty())
        accounts = "      <UserAccounts>\n        <AdministratorPassword>\n" +
                   element(5, "Value", setup.administrator_password) + element(5, "PlainText", "true") +
                   "        </AdministratorPassword>\n      </UserAccounts>\n";
    const auto oobe =
        component("Microsoft-Windows-International-Core", machine,
                  element(3, "SystemLocale", locale) + element(3, "UserLocale", locale)) +
        component("Microsoft-Windows-Shell-Setup", machine,
                  "      <OOBE>\n" + element(4, "HideEULAPage", "true") + element(4, "NetworkLocation", "Work") +
                      element(4, "ProtectYourPC", "1") + "      </OOBE>\n" + accounts);
    return crlf(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<!-- Written by Slipway. -->\n<unattend "
        "xmlns=\"urn:schemas-microsoft-com:unattend\" "
        "xmlns:wcm=\"http://schemas.microsoft.com/WMIConfig/2002/State\">\n" +
        settings("specialize", specialize) + settings("oobeSystem", oobe) + "</unattend>\n");
}

std::string sysprep_inf(const Personality& personality) {
    const auto& setup = *personality.windows;
    const auto* zone = windows_time_zone(personality.time_zone);
    auto out =
        std::string("; Written by Slipway.\n[Unattended]\nOemSkipEula=Yes\nInstallFilesPath=C:\\sysprep\\i386\n") +
        "\n[GuiUnattended]\nOEMSkipRegional=1\nOemSkipWelcome=1\n" +
        inf_line("AdminPassword", setup.administrator_password);
    if (zone) out += fmt::format("TimeZone={:03}\n", zone->index);
    out += "\n[UserData]\n" + inf_line("ProductKey", setup.product_key) + inf_line("FullName", setup.owner) +
           inf_line("OrgName", setup.organization) +
           inf_line("ComputerName", computer_name(personality.host_name).value_or(""));
    out += "\n[Identification]\n" + inf_line("JoinWorkgroup", setup.workgroup) + inf_line("JoinDomain", setup.domain) +
           inf_line("DomainAdmin", setup.domain_user) + inf_line("DomainAdminPassword", setup.domain_password) +
           inf_line("MachineObjectOU", setup.domain_ou);
    return crlf(out + "\n[Networking]\nInstallDefaultComponents=Yes\n");
}

bool prepared_by_sysprep(const WindowsRepair& repair) {
    return repair.system.number("Setup", "SetupType").value_or(0) != 0 &&
           repair.system.string("Setup", "CmdLine").value_or("") != kSetupCommand;
}

Status add_answer_file(WindowsRepair& repair, const Personality& personality) {
    if (!personality.windows) {
        if (!personality.host_name.empty())
            repair.warn(
                "a Windows gets another name by sysprep alone: prepare the image with it, and give the personality "
                "\"windows\": {}");
        return {};
    }
    if (!personality.host_name.empty() && !computer_name(personality.host_name))
        return make_error(errors::kPersonality, "{} is longer than the 15 characters of a Windows machine's name",
                          personality.host_name);
    if (!personality.time_zone.empty() && !windows_time_zone(personality.time_zone))
        repair.warn(fmt::format("{} has no name of Windows in our list: the time zone stays", personality.time_zone));
    const auto& windows = repair.windows;
    if (windows.major < 5) {
        repair.warn("Windows NT 4 takes no answer file at its first boot");
        return {};
    }
    if (!prepared_by_sysprep(repair))
        repair.warn(
            "this Windows was not prepared by sysprep: the answer file is in its place, and is used once sysprep has "
            "run");
    auto put = [&](const std::string& wanted, const std::string& content) {
        // Passwords: the journal has its digest alone.
        return write_private(repair.guest, "sysprep answer file", place_for(repair.guest, wanted), content);
    };
    if (windows.major >= 6)
        return put(windows.root + "/Panther/unattend.xml", unattend_xml(personality, windows.architecture));
    const auto text = sysprep_inf(personality);
    if (std::any_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) >= 0x80; }))
        return make_error(errors::kPersonality, "sysprep.inf holds ASCII alone, and a value of \"windows\" does not");
    TRY(put("/sysprep/sysprep.inf", text));
    return put(std::string(kCmdlinesPath), std::string(kCmdlines));
}

}  // namespace slipway::fixup::windows
