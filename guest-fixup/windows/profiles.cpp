// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/profiles.hpp"

#include <algorithm>

#include "lib/base/strings.hpp"

namespace slipway::fixup::windows {

namespace {

constexpr std::size_t kMostProfiles = 2'000;  // a terminal server's
constexpr std::string_view kList = "Microsoft\\Windows NT\\CurrentVersion\\ProfileList";

// What follows the name, when that is what the path begins with.
std::optional<std::string_view> behind(std::string_view path, std::string_view name) {
    if (path.size() < name.size() || !iequals(path.substr(0, name.size()), name)) return std::nullopt;
    return path.substr(name.size());
}

// Vista and later name the pattern whole, older ones by its name below all of them.
std::string default_profile(const Hive& software) {
    const std::string list(kList);
    if (auto whole = software.string(list, "Default")) return *whole;
    const auto all = software.string(list, "ProfilesDirectory"), name = software.string(list, "DefaultUserProfile");
    return fmt::format("{}\\{}", all.value_or("%SystemRoot%\\Profiles"), name.value_or("Default User"));
}

}  // namespace

std::optional<std::string> guest_path(std::string_view path, const WindowsSystem& windows, const Hive& software) {
    const auto root = software.string("Microsoft\\Windows NT\\CurrentVersion", "SystemRoot").value_or("C:\\WINDOWS");
    std::string out;
    if (auto rest = behind(path, "%SystemRoot%")) out = windows.root + std::string(*rest);
    else if (auto below = behind(path, "%windir%")) out = windows.root + std::string(*below);
    else if (auto drive = behind(path, "%SystemDrive%")) out = *drive;
    else if (path.size() > 2 && path[1] == ':' && root.size() > 2 && iequals(path.substr(0, 2), root.substr(0, 2)))
        out = path.substr(2);
    std::replace(out.begin(), out.end(), '\\', '/');
    return out.starts_with('/') ? std::optional(out) : std::nullopt;
}

std::vector<Profile> profiles_of(const Guest& guest, const WindowsSystem& windows, const Hive& software,
                                 std::vector<std::string>& elsewhere) {
    std::vector<std::string> named{default_profile(software)};
    const std::string list(kList);
    for (const auto& sid : software.keys(list))
        if (auto path = software.string(list + "\\" + sid, "ProfileImagePath")) named.push_back(*std::move(path));
    std::vector<Profile> out;
    for (const auto& path : named) {
        const auto wanted = guest_path(path, windows, software);
        if (!wanted) {
            elsewhere.push_back(path);
            continue;
        }
        const auto hive = find_path(guest, *wanted + "/NTUSER.DAT");
        const auto twice = [&](const Profile& other) { return other.hive == *hive; };
        if (!hive || std::any_of(out.begin(), out.end(), twice)) continue;
        if (out.size() >= kMostProfiles) break;
        auto directory = hive->substr(0, hive->rfind('/'));
        out.push_back({directory.substr(directory.rfind('/') + 1), directory, *hive});
    }
    return out;
}

}  // namespace slipway::fixup::windows
