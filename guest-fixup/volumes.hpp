// SPDX-License-Identifier: GPL-3.0-or-later
// What is on the partitions of the disks, and in the arrays, groups and encrypted volumes over them, by the magic
// numbers at their start (hostile bytes); and which of them a device name of the old machine meant.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/disks/block.hpp"

namespace slipway::fixup {

enum class VolumeKind { Partition, Md, Luks, Lvm };

struct Volume {
    unsigned index = 0;  // partition number as Linux counts; 0: the disk has no table
    std::uint64_t offset = 0, length = 0;
    std::string filesystem;  // ext4 (2 and 3 too), xfs, btrfs, vfat, ntfs, BitLocker, swap, crypto_LUKS, LVM2_member,
                             // linux_raid_member, ""
    std::string uuid, label, partuuid;  // as fstab spells them
    bool errors = false;                // ext: the superblock says that errors were found

    VolumeKind kind = VolumeKind::Partition;
    unsigned disk = 0;                 // of the request: 0 is `disk`, then `more_disks`; of what lies on it too
    std::vector<std::size_t> parents;  // what it lies on, as places in the list: never behind itself
    std::vector<std::string> names;    // how the guest calls it: "/dev/mapper/vg0-root", "/dev/vg0/root", "/dev/md0"
    std::string id;                    // Md: "ad3e…:…" as mdadm.conf has it; Lvm: the group's UUID; Luks: its UUID
    std::filesystem::path device;      // its node on this host, once there is one
    std::vector<std::string> subvolumes;  // btrfs: what systems live in, "@"; empty: not looked for, or none
};

// "qcow2", "VMDK", "VHDX" by a file's first bytes: image formats that no part of the repair opens; else empty.
std::string_view foreign_format(ByteView start);
// For people, and for `root_volume` of the request: "partition 2", "/dev/mapper/vg0-root".
std::string describe(const Volume& volume);

Result<std::vector<Volume>> read_volumes(disks::BlockDevice& disk);
// Also a superblock at the end of a member (md 0.90 and 1.0): those bytes look like the array's own file system.
Status identify_device(disks::BlockDevice& device, Volume& volume);
// Fills filesystem, uuid, label, errors from the first 128 KiB (or fewer) of a volume.
void identify(ByteView start, Volume& volume);

// Device names of the old machine, "/dev/sda1", as UUIDs. They follow the controller and its driver; UUIDs do not.
class DeviceNames {
public:
    DeviceNames() = default;
    // root_spec is what the guest calls its root: when it is a device name it tells what the old machine called the
    // disk of the root; otherwise the first disk of each naming scheme is taken for the request's first, and so on.
    DeviceNames(std::vector<Volume> volumes, std::string_view root_spec, unsigned root_disk = 0);

    // "UUID=…" for a device name of this disk; nothing for a name that is stable already or of another disk.
    std::optional<std::string> stable_name(std::string_view spec) const;
    // A name that depends on the controller: /dev/sdX, /dev/disk/by-path/… (LVM, md and UUIDs do not).
    static bool unstable(std::string_view spec);
    // The volume a spec of fstab means (UUID=, LABEL=, PARTUUID=, /dev/disk/by-uuid/…, device names).
    const Volume* find(std::string_view spec) const;
    const std::vector<Volume>& volumes() const { return volumes_; }

private:
    std::optional<unsigned> disk_called(std::string_view name) const;  // a disk of the request
    std::vector<Volume> volumes_;
    std::string system_disk_;  // "sdb" when the root names it
    unsigned root_disk_ = 0;
};

}  // namespace slipway::fixup
