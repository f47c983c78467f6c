// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "guest-fixup/windows/agents.hpp"
#include "guest-fixup/windows/profiles.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

// The Startup folder of all users: as the registry names it (a localized Windows has its own word for it), where that
// is on the system's own drive; else where English ones have it.
std::vector<std::string> startup_folders(const WindowsRepair& repair) {
    std::vector<std::string> wanted{"/ProgramData/Microsoft/Windows/Start Menu/Programs/Startup",
                                    "/Documents and Settings/All Users/Start Menu/Programs/Startup",
                                    repair.windows.root + "/Profiles/All Users/Start Menu/Programs/Startup"};
    const auto named =
        repair.software.string("Microsoft\\Windows\\CurrentVersion\\Explorer\\Shell Folders", "Common Startup");
    if (auto path = named ? guest_path(*named, repair.windows, repair.software) : std::nullopt)
        wanted.push_back(*std::move(path));
    std::vector<std::string> out;
    for (const auto& path : wanted)
        if (auto found = find_path(repair.guest, path); found && std::find(out.begin(), out.end(), *found) == out.end())
            out.push_back(*std::move(found));
    return out;
}

Status remove_startup(WindowsRepair& repair, const NamedPrograms& list) {
    if (list.patterns.empty()) return {};
    for (const auto& folder : startup_folders(repair)) TRY(empty_startup(repair, folder, list));
    return {};
}

Status apply(WindowsRepair& repair, const std::string& what, const DriversFile& file) {
    const auto services = repair.windows.services();
    const auto& needed = needed_drivers(repair.request.target);
    std::vector<std::string> kept;
    TRY(disable_services(repair.system, services, what, file.services, kept));
    TRY(disable_drivers(repair.system, services, what, file.drivers, needed, kept));
    TRY(remove_autorun(repair.software, "", what, file.programs));
    for (const auto& name : kept)
        repair.warn(
            fmt::format("{} names {}, which Windows or the new controller needs: it stays", what, printable(name)));
    return remove_startup(repair, {what, file.programs});
}

}  // namespace

Status repair_agents(WindowsRepair& repair) {
    std::vector<std::string> drivers;
    std::vector<NamedPrograms> programs;
    std::string what = "drivers file";
    if (!repair.request.drivers_file.empty()) {
        auto file = TRY(parse_drivers_file(repair.request.drivers_file, NamesOf::Windows));
        for (auto& warning : file.warnings) repair.warn(std::move(warning));
        TRY(apply(repair, what, file));
        drivers = std::move(file.drivers);
        programs.push_back({what, std::move(file.programs)});
    } else {
        what = "old hardware";
        for (const auto& list : shipped_agent_lists()) {
            if (repair.request.keep_leftovers && of_another_hypervisor(list.name)) continue;
            auto file = TRY(parse_drivers_file(list.xml, NamesOf::Windows));
            const auto name = fmt::format("old hardware, our list {}", list.name);
            TRY(apply(repair, name, file));
            drivers.insert(drivers.end(), file.drivers.begin(), file.drivers.end());
            programs.push_back({name, std::move(file.programs)});
        }
    }
    // Every user's hive and every device's key is looked at for them: once for all lists.
    TRY(remove_user_autorun(repair, programs));
    return drop_filters(repair.system, repair.windows.control_set, what, drivers,
                        needed_drivers(repair.request.target));
}

}  // namespace slipway::fixup::windows
