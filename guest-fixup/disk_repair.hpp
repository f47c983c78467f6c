// SPDX-License-Identifier: GPL-3.0-or-later
// The repair of a disk: finds its system, mounts what belongs to it, and hands that to the repair of a root.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "guest-fixup/fixup.hpp"
#include "guest-fixup/sandbox.hpp"
#include "guest-fixup/volumes.hpp"
#include "guest-fixup/windows/mounted.hpp"

namespace slipway::fixup {

// A root with everything of the guest mounted below it.
struct MountedRoot {
    std::filesystem::path path;
    std::vector<Volume> volumes;
    unsigned disk = 0;       // that it is on
    SandboxDevices devices;  // for the guest's tools
    std::string name;        // for people: "/dev/sda partition 1"
    std::vector<std::string> warnings;
    std::optional<windows::MountedWindows> windows;  // it is one, and no Linux
    std::vector<std::string> encrypted;  // names of the encrypted volumes that / and /usr lie in, as crypttab says them
};
using RepairRoot = std::function<Result<RepairReport>(MountedRoot)>;

// place is an empty directory that only this thread's mounts will cover.
Result<RepairReport> repair_disk(const RepairRequest& request, const std::filesystem::path& place,
                                 const std::function<void(const std::string&)>& note, const RepairRoot& repair_root);

}  // namespace slipway::fixup
