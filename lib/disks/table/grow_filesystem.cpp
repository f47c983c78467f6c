// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/table/grow_filesystem.hpp"

#include "lib/base/strings.hpp"

namespace slipway::disks {

namespace {

bool is_ext(const std::string& filesystem) { return filesystem.starts_with("ext"); }

}  // namespace

std::vector<std::vector<std::string>> growth_commands(const GrownVolume& volume) {
    // e2fsprogs take "FILE?offset=N", so that no loop device is needed; a name with '?' in it they cannot.
    if (!is_ext(volume.filesystem) || volume.disk.empty() || volume.disk.string().find('?') != std::string::npos)
        return {};
    auto place = fmt::format("{}?offset={}", volume.disk.string(), volume.offset);
    return {{"e2fsck", "-f", "-p", place}, {"resize2fs", place, fmt::format("{}K", volume.length / 1024)}};
}

std::string growth_advice(const GrownVolume& volume) {
    const auto& fs = volume.filesystem;
    if (fs.empty() || fs == "swap") return {};
    if (is_ext(fs)) return "run `e2fsck -f` and `resize2fs` on the partition";
    if (fs == "xfs") return "mount it and run `xfs_growfs` on the mount point";
    if (fs == "btrfs") return "mount it and run `btrfs filesystem resize max` on the mount point";
    if (fs == "ntfs") return "run `ntfsresize` on the partition, or extend the volume in Windows";
    if (fs.starts_with("lvm2")) return "run `pvresize` on the partition";
    return "the " + fs + " in it keeps its size: use its own tool";
}

std::string grow_filesystem(const GrownVolume& volume, const CommandRunner& run) {
    auto commands = growth_commands(volume);
    if (commands.empty()) return growth_advice(volume);
    for (const auto& argv : commands) {
        auto result = run(argv);
        if (!result) return growth_advice(volume) + " (" + result.error().message() + ")";
        // e2fsck(8): 1 = errors were corrected.
        if (result->exit_code > (argv[0] == "e2fsck" ? 1 : 0))
            return fmt::format("{} ({} ended with {}: {})", growth_advice(volume), argv[0], result->exit_code,
                               printable(trim(result->error_text)));
    }
    return {};
}

}  // namespace slipway::disks
