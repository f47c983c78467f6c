// SPDX-License-Identifier: GPL-3.0-or-later
// A file system that fills its partition again after that has grown: by its own tool where that works offline and at
// an offset into a disk (ext2/3/4), and words for the operator otherwise.
#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "lib/base/process.hpp"

namespace slipway::disks {

struct GrownVolume {
    std::string filesystem;                // "ext4", as UsedMap::filesystem
    std::filesystem::path disk;            // raw file or block device; empty: no tool can reach it (a dynamic VHD)
    std::uint64_t offset = 0, length = 0;  // of the volume on the disk, bytes
};

// The commands that do it, in order; none where no tool does it offline.
std::vector<std::vector<std::string>> growth_commands(const GrownVolume& volume);
// What the operator does instead; "" where nothing is to be done (swap, an empty partition).
std::string growth_advice(const GrownVolume& volume);

using CommandRunner = std::function<Result<CommandResult>(const std::vector<std::string>& argv)>;

// Empty when it has grown; else what to do, and why it was not done.
std::string grow_filesystem(const GrownVolume& volume, const CommandRunner& run);

}  // namespace slipway::disks
