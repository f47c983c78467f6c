// SPDX-License-Identifier: GPL-3.0-or-later
// Mount points of images: finding them, mounting the volumes inside, and taking it all down again.
#pragma once

#include <sys/types.h>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "imagestore/manifest.hpp"
#include "lib/base/result.hpp"

namespace slipway::console {

// One line of /proc/self/mountinfo (proc(5)).
struct MountEntry {
    std::string path, type, source;
};
std::vector<MountEntry> parse_mountinfo(std::string_view text);  // lines that are none are passed over
Result<std::vector<MountEntry>> read_mounts();

inline constexpr std::string_view kMountType = "fuse.slipway";
// "web@3#4711": the image, and the process that serves it.
std::string mount_source(const std::string& image, pid_t server);
std::optional<pid_t> server_of(std::string_view source);

// The directory as the kernel names it; its last part need not answer (a dead mount does not).
Result<std::string> absolute_path(const std::string& path);
// An existing empty directory, or a new one. Error: console.mount-point.
Status prepare_mount_point(const std::string& path);

// How a volume is mounted read-only, leaving it as it is: no journal is replayed. Nothing: it has no files to show.
std::optional<std::vector<std::string>> volume_mount_command(const imagestore::VolumeInfo& volume,
                                                             const std::string& file, const std::string& directory);

// Unmounts an image: what is mounted inside first, then itself; waits until its process has ended. A dead mount goes
// the same way. Errors: console.not-mounted, console.mount-busy, console.mount-failed.
struct Unmounted {
    std::string source;               // "web@3"
    std::vector<std::string> nested;  // mount points inside that went first
};
Result<Unmounted> unmount_image(const std::string& path);

}  // namespace slipway::console
