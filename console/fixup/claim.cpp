// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/fixup/claim.hpp"

#include <fcntl.h>
#include <cerrno>

#include "console/errors.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/device_info.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/vhd/lock.hpp"
#include "lib/disks/vhd/vhd.hpp"

namespace slipway::console {

namespace {

namespace fs = std::filesystem;

Status refuse_mounted(const fs::path& path) {
    const auto mounts = TRY(disks::writable_mounts(path));
    if (mounts.empty()) return {};
    return make_error(errors::kDiskInUse, "{} is in use: {}", path.string(), join(mounts, ", "));
}

// What is built on a disk is lost when the disk below it changes.
Status refuse_parent(const fs::path& path, bool read_only) {
    if (read_only || !disks::looks_like_vhd(path)) return {};
    std::vector<std::string> names;
    for (const auto& child : TRY(disks::children_of(path))) names.push_back(printable(child.filename().string()));
    if (names.empty()) return {};
    return make_error(disks::errors::kVhdHasChildren, "{} cannot be repaired: {} built on it", path.string(),
                      join(names, ", ") + (names.size() == 1 ? " is" : " are"));
}

Result<UniqueFd> lock_file(const fs::path& path, bool read_only) {
    auto fd = TRY(open_fd(path, read_only ? O_RDONLY : O_RDWR));
    TRY(disks::vhd::lock_for(fd.get(), read_only ? disks::vhd::Use::Read : disks::vhd::Use::Write, path.string()));
    return fd;
}

}  // namespace

Result<UniqueFd> claim_disk(const fs::path& path, bool read_only) {
    TRY(refuse_mounted(path));
    TRY(refuse_parent(path, read_only));
    std::error_code none;
    // Its partitions are mounted one by one, each of which the kernel claims.
    if (fs::is_block_file(path, none)) return open_fd(path, read_only ? O_RDONLY : O_RDWR);
    return lock_file(path, read_only);
}

Result<ClaimedDisk> open_claimed(const fs::path& path, bool read_only) {
    TRY(refuse_mounted(path));
    TRY(refuse_parent(path, read_only));
    const auto mode = read_only ? disks::OpenMode::ReadOnly : disks::OpenMode::ReadWrite;
    std::error_code none;
    ClaimedDisk out;
    if (fs::is_block_file(path, none)) {
        // The kernel mounts nothing of it meanwhile.
        out.claim = UniqueFd(::open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_EXCL | O_CLOEXEC));
        if (!out.claim.valid() && errno == EBUSY)
            return make_error(errors::kDiskInUse, "{} is held by something else", path.string());
    } else if (read_only || !disks::looks_like_vhd(path)) {
        out.claim = TRY(lock_file(path, read_only));
    }  // else: a VHD that is opened for writing is locked by that
    out.disk = TRY(disks::open_disk(path, mode));
    return out;
}

}  // namespace slipway::console
