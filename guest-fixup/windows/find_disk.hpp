// SPDX-License-Identifier: GPL-3.0-or-later
// The Windows among the volumes of a machine's disks: found, looked at for what forbids a repair, and mounted.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "guest-fixup/disk_repair.hpp"
#include "guest-fixup/guest_volumes.hpp"

namespace slipway::fixup::windows {

struct FoundWindows {
    std::size_t volume = 0;
    std::string root;  // "/WINDOWS"
};
// "partition 2", "partition 2:WINNT" where a volume has two: as `root_volume` takes it.
std::string name_of(const FoundWindows& found, const std::vector<FoundWindows>& all,
                    const std::vector<Volume>& volumes);

// Mounts every NTFS and FAT volume read-only and looks. place: an empty directory. One that cannot be mounted is an
// error only when no other has a Windows; so is one that BitLocker encrypted (fixup.bitlocker).
Result<std::vector<FoundWindows>> find_windows(GuestVolumes& all, const std::filesystem::path& place);

// The ones that `wanted` names; all of them when it is empty.
std::vector<FoundWindows> called(const std::vector<FoundWindows>& found, const std::vector<Volume>& volumes,
                                 std::string_view wanted);

// Errors: fixup.hibernated, fixup.windows-dirty, fixup.ntfs-damaged, fixup.mount.
Result<RepairReport> repair_found(GuestVolumes& all, const RepairRequest& request, const FoundWindows& found,
                                  const std::filesystem::path& place, const RepairRoot& repair_root);

}  // namespace slipway::fixup::windows
