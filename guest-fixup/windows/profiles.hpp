// SPDX-License-Identifier: GPL-3.0-or-later
// The users' directories of a Windows, by SOFTWARE's ProfileList: those of all who have logged on, and the one that new
// users' are copied from.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/windows/system.hpp"

namespace slipway::fixup::windows {

struct Profile {
    std::string name;       // "Administrator", for people
    std::string directory;  // of the guest, in its own spelling
    std::string hive;       // NTUSER.DAT
};
// elsewhere: as Windows has them, those that are on another drive than Windows.
std::vector<Profile> profiles_of(const Guest& guest, const WindowsSystem& windows, const Hive& software,
                                 std::vector<std::string>& elsewhere);

// "%SystemDrive%\Users\bob", "C:\Users\bob", "%SystemRoot%\Profiles" as a path of the guest; nullopt: on another drive
// than Windows, or no full path. Pure.
std::optional<std::string> guest_path(std::string_view path, const WindowsSystem& windows, const Hive& software);

}  // namespace slipway::fixup::windows
