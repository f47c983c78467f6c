// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include "guest-fixup/windows/agents.hpp"
#include "guest-fixup/windows/hive_files.hpp"
#include "guest-fixup/windows/profiles.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

// As the user's own registry names it (a localized Windows has its own word for it), where that is in the profile; else
// where English ones have it.
std::vector<std::string> startup_folders(const WindowsRepair& repair, const Profile& profile, const Hive& hive) {
    std::vector<std::string> wanted{
        profile.directory + "/Start Menu/Programs/Startup",
        profile.directory + "/AppData/Roaming/Microsoft/Windows/Start Menu/Programs/Startup"};
    constexpr std::string_view kProfile = "%USERPROFILE%\\";
    auto named = hive.string("Software\\Microsoft\\Windows\\CurrentVersion\\Explorer\\User Shell Folders", "Startup")
                     .value_or("");
    if (named.size() > kProfile.size() && iequals(std::string_view(named).substr(0, kProfile.size()), kProfile)) {
        std::replace(named.begin(), named.end(), '\\', '/');
        wanted.push_back(profile.directory + "/" + named.substr(kProfile.size()));
    }
    std::vector<std::string> out;
    for (const auto& path : wanted)
        if (auto found = find_path(repair.guest, path); found && std::find(out.begin(), out.end(), *found) == out.end())
            out.push_back(*std::move(found));
    return out;
}

Status clean(WindowsRepair& repair, const Profile& profile, LoadedHive& loaded,
             const std::vector<NamedPrograms>& lists) {
    const auto folders = startup_folders(repair, profile, loaded.hive);
    for (const auto& list : lists) {
        TRY(remove_autorun(loaded.hive, "Software\\", list.what, list.patterns));
        for (const auto& folder : folders) TRY(empty_startup(repair, folder, list));
    }
    return write_hive(repair.guest, loaded);
}

}  // namespace

Status empty_startup(WindowsRepair& repair, const std::string& folder, const NamedPrograms& list) {
    for (const auto& name : repair.guest.list(folder))
        if (std::any_of(list.patterns.begin(), list.patterns.end(),
                        [&](const auto& pattern) { return starts_program(name, "", pattern); }))
            TRY(repair.guest.remove(fmt::format("{}: program {} not started", list.what, printable(name)),
                                    folder + "/" + name));
    return {};
}

Status remove_user_autorun(WindowsRepair& repair, const std::vector<NamedPrograms>& lists) {
    if (std::all_of(lists.begin(), lists.end(), [](const auto& list) { return list.patterns.empty(); })) return {};
    std::vector<std::string> elsewhere;
    const auto profiles = profiles_of(repair.guest, repair.windows, repair.software, elsewhere);
    for (const auto& path : elsewhere)
        repair.warn(fmt::format("the user's directory {} is on another drive: what starts there was not looked at",
                                printable(path)));
    for (const auto& profile : profiles) {
        auto loaded = load_hive(repair.guest, profile.hive, "NTUSER.DAT of " + printable(profile.name));
        if (loaded) TRY_WITH(clean(repair, profile, *loaded, lists), profile.hive);
        else
            repair.warn(fmt::format("{}: what starts when its user logs on was not looked at: {}",
                                    printable(profile.hive), loaded.error().message()));
    }
    return {};
}

}  // namespace slipway::fixup::windows
