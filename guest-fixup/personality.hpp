// SPDX-License-Identifier: GPL-3.0-or-later
// Who a machine is: what one image of many machines is told at deployment. A JSON document (docs/repair.md,
// "Personality"), checked whole before anything is changed. Pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/net.hpp"
#include "lib/base/result.hpp"

namespace slipway::fixup {

enum class MachineId {
    Keep,
    New,            // an empty /etc/machine-id: systemd makes one, and the boot is no "first boot" to it
    Uninitialized,  // systemd's first boot: it also sets every unit as the distribution's presets say
    Given,
};

struct InterfaceSetup {
    std::string name;               // valid_adapter_name(); empty: the interface that has mac
    std::optional<MacAddress> mac;  // with a name: the card that the name is for
    bool dhcp = false;
    std::vector<std::string> addresses;  // "10.0.0.5/24", "fd00::5/64"
    std::vector<std::string> gateways;   // at most one of each family
    std::vector<std::string> dns, search;
    bool operator==(const InterfaceSetup&) const = default;
};

struct AuthorizedKey {
    std::string user, key;
};

struct FirstBootScript {
    std::string name, text;
};

// Of a Windows that sysprep prepared (windows/answer_file.hpp).
struct WindowsSetup {
    std::string product_key, owner, organization, administrator_password;
    std::string workgroup;  // or a domain:
    std::string domain, domain_user, domain_password, domain_ou;
};

struct Personality {
    std::string host_name;  // "web01" or "web01.example.org"; empty: stays
    MachineId machine_id = MachineId::Keep;
    std::string given_machine_id;
    bool new_ssh_host_keys = false;
    std::vector<InterfaceSetup> interfaces;
    std::string time_zone, locale;
    std::vector<AuthorizedKey> authorized_keys;
    // In the order they run. A text begins with "#!/", or with "@": a command file of Windows.
    std::vector<FirstBootScript> first_boot;
    std::optional<WindowsSetup> windows;  // there: sysprep's answer file is wanted
};

inline constexpr std::size_t kLongestPersonality = 1u << 20;

// device: whose personality is wanted, when the document has a member "devices"; what it says there of this device
// comes before what it says of all. Errors: fixup.personality.
Result<Personality> parse_personality(std::string_view json, std::string_view device = {});

// The document of one machine: what document says of device, and single values that come before it. Of values these are
// taken: kPersonalityValues; empty ones are as if not there. "" when all of it is empty. addresses is
// "ens3=10.0.0.5/24,gateway=10.0.0.1,dns=10.0.0.53; 52:54:00:00:00:02=dhcp", authorized-key root's, besides the
// document's; join-script runs before the document's scripts and first-boot-script after them.
// A device of which "devices" says nothing has what is said of all, where that and the values have every member that
// another device has; else it is an error, for it would keep the template's address. What a value replaces is checked
// all the same, and is a sentence in overruled. Errors: fixup.personality.
inline constexpr const char* kPersonalityValues[] = {"hostname",       "machine-id",  "ssh-host-keys",
                                                     "addresses",      "timezone",    "locale",
                                                     "authorized-key", "join-script", "first-boot-script"};
using PersonalityValues = std::map<std::string, std::string, std::less<>>;
Result<std::string> personality_of(std::string_view document, std::string_view device, const PersonalityValues& values,
                                   std::vector<std::string>* overruled = nullptr);

// Each is safe in a file name, a shell assignment and a line of /etc/hosts.
bool valid_host_name(std::string_view name);  // RFC 1123 labels, 64 characters: as long as the kernel takes
bool valid_machine_id(std::string_view id);   // 32 hexadecimal digits, lower case, not all zero
bool valid_time_zone(std::string_view zone);  // "Europe/Berlin"
bool valid_locale(std::string_view locale);   // "de_DE.UTF-8"
bool valid_user_name(std::string_view name);
bool valid_public_key(std::string_view line);   // one line as authorized_keys(5) has it, without options
bool valid_script_name(std::string_view name);  // [A-Za-z0-9_-]{1,40}
bool valid_prefix(std::string_view text);       // an address of either family and its prefix length
bool valid_ip(std::string_view text);
bool valid_product_key(std::string_view key);  // ABCDE-12345-…, five groups
// What an answer file can hold: one line of printable text, 1 to 127 bytes.
bool valid_answer(std::string_view text);
bool is_ipv6(std::string_view ip);

}  // namespace slipway::fixup
