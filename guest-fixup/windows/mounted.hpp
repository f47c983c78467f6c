// SPDX-License-Identifier: GPL-3.0-or-later
// A Windows whose volumes are mounted.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "guest-fixup/windows/disk_place.hpp"

namespace slipway::fixup::windows {

struct MountedWindows {
    std::string root;                // "/WINDOWS"
    std::string boot;                // guest path where the volume that starts it is mounted; "": it is the same one
    std::string boot_name;           // of that volume, for people: "partition 1"
    std::filesystem::path disk;      // the disk's file or device; empty: a mounted root was given
    std::optional<DiskPlace> place;  // on it
};

}  // namespace slipway::fixup::windows
