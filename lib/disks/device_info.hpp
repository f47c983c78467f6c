// SPDX-License-Identifier: GPL-3.0-or-later
// What Linux says of the machine's disks: sysfs and the mount table, read as text. The root directory is a
// parameter, so that tests run on made trees.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "lib/base/result.hpp"

namespace slipway::disks {

struct DiskDevice {
    std::string name;    // "sda", "nvme0n1"
    std::string path;    // "/dev/sda"
    std::string serial;  // as the kernel shows it; may be empty
    std::string model;
    std::uint64_t size = 0;  // bytes
    bool removable = false;
    bool read_only = false;
    std::vector<std::string> partitions;  // names, "sda1"
};

// Whole disks that hold data, by name: no loop, ram, optical, device-mapper or md devices, nothing of size 0.
Result<std::vector<DiskDevice>> list_disks(const std::filesystem::path& root = "/");

// The mount points where this block device, one of its partitions or what is made of them (LVM, md, dm-crypt) is
// mounted read-write ("/dev/sda" -> {"/"}); also "swap" when it is swapped on. Of a plain file: where loop devices on it are mounted.
Result<std::vector<std::string>> writable_mounts(const std::filesystem::path& device,
                                                 const std::filesystem::path& root = "/");

// BLKROSET: the kernel itself refuses writes from then on, ours included.
Status set_read_only(const std::filesystem::path& device);

// BLKRRPART after a new partition table was written, or adding partitions one by one where the kernel parses no tables.
Status reread_partitions(const std::filesystem::path& device);

}  // namespace slipway::disks
