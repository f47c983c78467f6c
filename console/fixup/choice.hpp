// SPDX-License-Identifier: GPL-3.0-or-later
// Where a disk is repaired: by this machine's kernel, or in the appliance.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "lib/base/result.hpp"

namespace slipway::console {

struct DiskFacts {
    std::string vhd;                       // "fixed", "dynamic", "differencing"; empty: raw
    std::vector<std::string> filesystems;  // of their partitions, as guest-fixup names them; unknown ones are empty
};

struct HostFacts {
    bool root = false;                               // we may mount
    bool loop = false;                               // and have loop devices
    std::function<bool(const std::string&)> mounts;  // the kernel mounts that file system, by a module if need be
};

// Why this machine cannot repair it; empty: it can.
std::string why_appliance(const DiskFacts& disk, const HostFacts& host);

// Reads the disks' partition tables. Errors: fixup.image-format, those of opening a VHD.
Result<DiskFacts> look_at_disks(const std::vector<std::filesystem::path>& disks);
HostFacts look_at_host();

}  // namespace slipway::console
