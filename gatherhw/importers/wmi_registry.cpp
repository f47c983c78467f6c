// SPDX-License-Identifier: GPL-3.0-or-later
// What `reg query` wrote: facts of Windows that no WMI class has. Its lines (the type's name parts name and value; a
// REG_MULTI_SZ has \0 between its texts):
//   HKEY_LOCAL_MACHINE\SYSTEM\CurrentControlSet\Control\SecureBoot\State
//       UEFISecureBootEnabled    REG_DWORD    0x1
// Sources: Microsoft Learn, "reg query"; "Disable Secure Boot" (UEFISecureBootEnabled), "Fast startup"
// (HiberbootEnabled, with HibernateEnabled, which powercfg /h sets).
#include <algorithm>

#include "gatherhw/importers/wmi_parts.hpp"
#include "gatherhw/linux/tree.hpp"
#include "lib/base/strings.hpp"

namespace slipway::gatherhw {

namespace {

constexpr std::string_view kRoot = "HKEY_LOCAL_MACHINE\\";

struct Value {
    std::string_view name, data;
};

std::optional<Value> value_of(std::string_view line) {
    auto type = line.find("REG_");
    if (type == std::string_view::npos) return std::nullopt;
    auto end = std::min(line.find_first_of(" \t", type), line.size());
    return Value{trim(line.substr(0, type)), trim(line.substr(end))};
}

// Fast startup is used where both are on.
struct Power {
    std::optional<bool> hiberboot, hibernate;
};

void take(std::string_view lower_key, const Value& value, Power& power, Inventory& out) {
    const auto is = [&](std::string_view key_end, std::string_view name) {
        return lower_key.ends_with(key_end) && iequals(value.name, name);
    };
    const auto flag = [&]() -> std::optional<bool> {
        const auto number = parse_number(std::string(value.data));
        return number ? std::optional<bool>(*number != 0) : std::nullopt;
    };
    if (is("\\control\\secureboot\\state", "UEFISecureBootEnabled")) out.system.secure_boot = flag();
    else if (is("\\control\\session manager\\power", "HiberbootEnabled")) power.hiberboot = flag();
    else if (is("\\control\\power", "HibernateEnabled")) power.hibernate = flag();
    else if ((lower_key.find("\\enum\\root\\acpi_hal\\") != std::string_view::npos ||
              lower_key.find("\\enum\\root\\pci_hal\\") != std::string_view::npos) &&
             iequals(value.name, "HardwareID") && out.os.hal.empty())
        out.os.hal = value.data.substr(0, value.data.find("\\0"));
}

}  // namespace

bool is_registry_dump(std::string_view text) {
    for (int lines = 0; lines < 20 && !text.empty(); ++lines) {
        auto end = std::min(text.find('\n'), text.size());
        auto line = trim(text.substr(0, end));
        if (line.starts_with(kRoot)) return true;
        // "! REG.EXE VERSION 3.0", of XP and 2003
        if (!line.empty() && !line.starts_with("! ")) return false;
        text.remove_prefix(std::min(end + 1, text.size()));
    }
    return false;
}

void take_registry(std::string_view text, Inventory& out) {
    std::string key;
    Power power;
    while (!text.empty()) {
        auto end = std::min(text.find('\n'), text.size());
        auto line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.starts_with(kRoot)) key = to_lower(trim(line));
        else if (auto value = value_of(line)) take(key, *value, power, out);
    }
    if (power.hiberboot == false || power.hibernate == false) out.os.fast_startup = false;
    else if (power.hiberboot && power.hibernate) out.os.fast_startup = true;
}

}  // namespace slipway::gatherhw
