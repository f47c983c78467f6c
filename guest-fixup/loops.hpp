// SPDX-License-Identifier: GPL-3.0-or-later
// Loop devices of this host, whoever made them and whatever the file was called then.
#pragma once

#include <filesystem>
#include <optional>
#include <vector>

#include "lib/base/fd.hpp"

namespace slipway::fixup {

struct ShownBy {
    std::filesystem::path device;  // /dev/loopN
    bool read_only = false;
    // Of it and its partitions: opened exclusively, as the kernel opens what it mounts, in whichever mount namespace.
    // Not what layers (LVM, md) are built on.
    std::vector<std::filesystem::path> held;
};
// The loop devices that show a file, by its device and inode.
Result<std::vector<ShownBy>> loops_that_show(int file);

// The file behind a loop device or a partition of one, opened as `flags` say. Nothing: it is none, or the file has no
// name here that leads to it.
std::optional<UniqueFd> file_behind(const std::filesystem::path& device, int flags);

}  // namespace slipway::fixup
