// SPDX-License-Identifier: GPL-3.0-or-later
// What is on the partitions of a disk, by the magic numbers at their start (hostile bytes), and which of them a
// device name of the old machine meant.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/disks/block.hpp"

namespace slipway::fixup {

struct Volume {
    unsigned index = 0;  // partition number as Linux counts; 0: the disk has no table
    std::uint64_t offset = 0, length = 0;
    std::string
        filesystem;  // ext4 (2 and 3 too), xfs, btrfs, vfat, swap, crypto_LUKS, LVM2_member, linux_raid_member, ""
    std::string uuid, label, partuuid;  // as fstab spells them
    bool errors = false;                // ext: the superblock says that errors were found
};

// "qcow2", "VMDK", "VHDX" by a file's first bytes: image formats that no part of the repair opens; else empty.
std::string_view foreign_format(ByteView start);
Result<std::vector<Volume>> read_volumes(disks::BlockDevice& disk);
// Fills filesystem, uuid, label, errors from the first 128 KiB (or fewer) of a volume.
void identify(ByteView start, Volume& volume);

// Device names of the old machine, "/dev/sda1", as UUIDs. They follow the controller and its driver; UUIDs do not.
class DeviceNames {
public:
    DeviceNames() = default;
    // root_spec is what the guest calls its root: when it is a device name it tells what the old machine called this
    // disk; otherwise the first disk of each naming scheme is taken for it.
    DeviceNames(std::vector<Volume> volumes, std::string_view root_spec);

    // "UUID=…" for a device name of this disk; nothing for a name that is stable already or of another disk.
    std::optional<std::string> stable_name(std::string_view spec) const;
    // A name that depends on the controller: /dev/sdX, /dev/disk/by-path/… (LVM, md and UUIDs do not).
    static bool unstable(std::string_view spec);
    // The volume a spec of fstab means (UUID=, LABEL=, PARTUUID=, /dev/disk/by-uuid/…, device names).
    const Volume* find(std::string_view spec) const;
    const std::vector<Volume>& volumes() const { return volumes_; }

private:
    bool this_disk(std::string_view disk) const;
    std::vector<Volume> volumes_;
    std::string system_disk_;  // "sdb" when the root names it
};

}  // namespace slipway::fixup
