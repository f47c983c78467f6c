// SPDX-License-Identifier: GPL-3.0-or-later
// Which volume, and which subvolume of it, a system's root is; and what belongs below it, by its fstab.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "guest-fixup/edits.hpp"
#include "guest-fixup/guest_volumes.hpp"

namespace slipway::fixup {

struct FoundRoot {
    std::size_t volume = 0;
    std::string subvolume;  // btrfs: "@", as subvol= says it; empty: what is mounted without saying one
    std::string fstab, crypttab, distribution;
};
// "/dev/mapper/vg0-root", "partition 2 (UUID=…)", "UUID=…:@debian": as `root_volume` takes it.
std::string name_of(const FoundRoot& root, const std::vector<Volume>& volumes);

// subvol= of the options of fstab's root, without slashes around it.
std::string root_subvolume(const std::vector<FstabEntry>& entries);

// Of the systems in the subvolumes of one btrfs: snapshots of a system have its fstab, which names another subvolume.
std::vector<FoundRoot> without_snapshots(std::vector<FoundRoot> roots);

// The one that `wanted` names, or the only one. errors::kNoRoot, kManyRoots.
Result<FoundRoot> choose_root(const std::vector<FoundRoot>& roots, const std::vector<Volume>& volumes,
                              const std::string& wanted);

struct PlannedMount {
    std::size_t volume = 0;
    std::string where;      // in the guest
    std::string subvolume;  // btrfs
    bool needed = false;    // the repair is none without it: /boot, /usr, /var
};
struct MountPlan {
    std::vector<PlannedMount> mounts;  // parents before what lies below them
    std::vector<std::string> missing;  // "/boot (UUID=…)": needed, and on none of the volumes
    bool cut = false;                  // fstab names more than are mounted
};
MountPlan plan_mounts(const std::vector<FstabEntry>& entries, const DeviceNames& names, std::size_t root_volume,
                      const std::string& root_subvolume);

// crypttab(5): names of mappings and where they lie.
struct CrypttabEntry {
    std::string name, source;
};
std::vector<CrypttabEntry> parse_crypttab(std::string_view text);

// Looks into every volume that may be one, read-only. place: an empty directory.
// A file system that cannot be mounted is an error only when nothing else is a root.
Result<std::vector<FoundRoot>> find_roots(GuestVolumes& guest, const std::filesystem::path& place);

// "device=/dev/sdb2" for the other volumes of the same btrfs, and subvol=.
Result<std::string> btrfs_options(GuestVolumes& guest, std::size_t volume, const std::string& subvolume);

bool mountable(const Volume& volume);

}  // namespace slipway::fixup
