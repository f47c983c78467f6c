// SPDX-License-Identifier: GPL-3.0-or-later
// What the guest starts by itself. Links decide, as systemd, rc and OpenRC have it; presets are for installers.
#include <algorithm>

#include "guest-fixup/forget.hpp"
#include "guest-fixup/services.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr const char* kUnitDirectories[] = {"/etc/systemd/system", "/usr/local/lib/systemd/system",
                                            "/usr/lib/systemd/system", "/lib/systemd/system"};

bool is_there(const Guest& guest, const std::string& path) {
    return guest.exists(path) || link_target(guest, path).has_value();
}

bool has_unit(const Guest& guest, const std::string& unit) {
    return std::any_of(std::begin(kUnitDirectories), std::end(kUnitDirectories),
                       [&](const char* directory) { return guest.exists(fmt::format("{}/{}", directory, unit)); });
}

// Targets that no normal start reaches.
bool out_of_the_way(std::string_view wants) {
    const auto name = wants.substr(wants.rfind('/') + 1);
    return name.starts_with("initrd") || name.starts_with("rescue") || name.starts_with("emergency");
}

bool is_wanted(const Guest& guest, const std::string& unit) {
    for (const char* directory : kUnitDirectories)
        for (const char* kind : {"*.wants", "*.requires"})
            for (const auto& wants : matching(guest, directory, kind))
                if (!out_of_the_way(wants) && is_there(guest, fmt::format("{}/{}", wants, unit))) return true;
    return false;
}

// An S link to a script that is there.
bool starts_by_rc(const Guest& guest, std::string_view script) {
    for (const auto& directory : runlevel_directories(guest)) {
        if (directory.ends_with("rc1.d")) continue;
        for (const auto& link : matching(guest, directory, fmt::format("S*{}", script)))
            if (link.substr(link.rfind('/') + 1).size() == script.size() + 3 && guest.exists(link)) return true;
    }
    return false;
}

bool starts_by_upstart(const Guest& guest, const std::string& job) {
    if (!guest.exists("/etc/init/" + job + ".conf")) return false;
    for (const char* end : {".conf", ".override"})
        if (auto text = guest.read("/etc/init/" + job + end, 1u << 20); text && *text)
            for (const auto& line : split(**text, '\n'))
                if (line == "manual") return false;
    return true;
}

}  // namespace

bool is_masked(const Guest& guest, const std::string& unit) {
    return link_target(guest, "/etc/systemd/system/" + unit) == "/dev/null";
}

bool is_enabled(const Guest& guest, const std::string& service) {
    const auto unit = service.find('.') == std::string::npos ? service + ".service" : service;
    switch (init_of(guest)) {
        case InitSystem::Systemd:
            if (is_masked(guest, unit)) return false;
            // systemd makes a unit of a script that has none.
            return has_unit(guest, unit) ? is_wanted(guest, unit) : starts_by_rc(guest, service);
        case InitSystem::OpenRc:
            for (const auto& level : guest.list("/etc/runlevels"))
                if (is_there(guest, fmt::format("/etc/runlevels/{}/{}", level, service))) return true;
            return false;
        case InitSystem::SysV: return starts_by_rc(guest, service) || starts_by_upstart(guest, service);
        case InitSystem::None: break;
    }
    return false;
}

bool start_is_known(const Guest& guest) {
    switch (init_of(guest)) {
        case InitSystem::Systemd:
        case InitSystem::OpenRc: return true;
        case InitSystem::None: return false;
        case InitSystem::SysV: break;
    }
    for (const auto& directory : runlevel_directories(guest))
        if (!matching(guest, directory, "S*").empty()) return true;
    return !matching(guest, "/etc/init", "*.conf").empty();
}

}  // namespace slipway::fixup
