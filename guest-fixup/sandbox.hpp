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

#include "guest-fixup/volumes.hpp"
#include "lib/base/process.hpp"

namespace slipway::fixup {

using GuestRunner =
    std::function<Result<CommandResult>(const std::vector<std::string>& argv, std::chrono::seconds limit)>;

// What the guest's tools find below /dev beside the harmless nodes: block devices of this host to look at, under their
// own names, and links to them, "disk/by-uuid/…" -> "../../sda1".
struct SandboxDevices {
    std::vector<std::filesystem::path> nodes;  // "/dev/mapper/vg0-root"
    std::vector<std::pair<std::string, std::string>> links;
};
// Of the volumes that have a node. The hooks of initramfs tools and grub-probe look for them by device number
// (/dev/block), by UUID and by the names in fstab and /proc/mounts.
SandboxDevices devices_for_sandbox(const std::vector<Volume>& volumes);

// cancel_fd: as in CommandOptions.
GuestRunner guest_runner(const std::filesystem::path& root, const SandboxDevices& devices, int cancel_fd = -1);

}  // namespace slipway::fixup
