// SPDX-License-Identifier: GPL-3.0-or-later
// Runs the guest's own tools in its root: own mount, PID, IPC, UTS and (empty) network namespace, a private /dev with
// nothing but the harmless nodes and the guest's own volumes, /sys read-only, and no capability beyond handling files.
// Limits: 1024 processes, files of 4 GiB, 16 MiB of output kept, a quarter of memory for /tmp, the time that is given.
// Nothing it starts outlives it, and it is the first to go when memory runs out.
#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "lib/base/process.hpp"

namespace slipway::fixup {

using GuestRunner =
    std::function<Result<CommandResult>(const std::vector<std::string>& argv, std::chrono::seconds limit)>;

// volumes: block devices of this host that the guest's tools may look at.
// cancel_fd: as in CommandOptions.
GuestRunner guest_runner(const std::filesystem::path& root, const std::vector<std::filesystem::path>& volumes,
                         int cancel_fd = -1);

}  // namespace slipway::fixup
