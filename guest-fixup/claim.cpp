// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/claim.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <cerrno>
#include <thread>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/loops.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/device_info.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/vhd/chain.hpp"
#include "lib/disks/vhd/lock.hpp"
#include "lib/disks/vhd/vhd.hpp"

namespace slipway::fixup {

namespace {

namespace fs = std::filesystem;

Status refuse_mounted(const fs::path& path) {
    const auto mounts = TRY(disks::writable_mounts(path));
    if (mounts.empty()) return {};
    return make_error(errors::kInUse, "{} is in use: {}", path.string(), join(mounts, ", "));
}

// udev holds a device for the moment in which it looks at it, the guest's tools of a repair that was killed hold a root
// until the kernel has ended them, and nobody says when they let go: waited for that long.
constexpr std::chrono::milliseconds kUdevsMoment{3000}, kToolsEnd{1000}, kLookAgain{50};

// Of a file, by whatever name and in whichever mount namespace it was attached; a dry run bears what only reads.
Status refuse_shown(int file, const fs::path& path, bool read_only) {
    std::error_code none;
    const auto ours = fs::canonical(path, none);  // a loop device that we hold ourselves
    const auto held_by = [&]() -> Result<fs::path> {
        for (const auto& loop : TRY(loops_that_show(file)))
            for (const auto& device : loop.held)
                if (device != ours && !(read_only && loop.read_only)) return device;
        return fs::path();
    };
    const auto deadline = std::chrono::steady_clock::now() + kToolsEnd;
    auto holder = TRY(held_by());
    for (; !holder.empty() && std::chrono::steady_clock::now() < deadline; holder = TRY(held_by()))
        std::this_thread::sleep_for(kLookAgain);
    if (holder.empty()) return {};
    return make_error(errors::kInUse, "{} is in use: {} shows it, and is mounted or held", path.string(),
                      holder.string());
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

// What can be read alone is named so.
Result<UniqueFd> open_to_write(const fs::path& path) {
    auto fd = open_fd(path, O_RDWR);
    if (fd || !open_fd(path, O_RDONLY)) return fd;
    return make_error(errors::kReadOnly, "{}", fd.error().message());
}

Status refuse_read_only(int fd, const fs::path& device) {
    int read_only = 0;
    if (::ioctl(fd, BLKROGET, &read_only) == 0 && read_only != 0)
        return make_error(errors::kReadOnly, "{} is a read-only device", device.string());
    return {};
}

Result<UniqueFd> lock_file(const fs::path& path, bool read_only) {
    auto fd = TRY(read_only ? open_fd(path, O_RDONLY) : open_to_write(path));
    TRY(disks::vhd::lock_for(fd.get(), read_only ? disks::vhd::Use::Read : disks::vhd::Use::Write, path.string()));
    TRY(refuse_shown(fd.get(), path, read_only));
    return fd;
}

// Under another name of the same disk others are met by its file's lock.
Result<UniqueFd> lock_behind(const fs::path& device, bool read_only) {
    auto file = file_behind(device, read_only ? O_RDONLY : O_RDWR);
    if (!file) return UniqueFd();
    TRY(disks::vhd::lock_for(file->get(), read_only ? disks::vhd::Use::Read : disks::vhd::Use::Write, device.string()));
    TRY(refuse_shown(file->get(), device, read_only));
    return std::move(*file);
}

Status flock_it(int fd, const fs::path& path, bool read_only, std::chrono::milliseconds patience) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (::flock(fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK && errno != EINTR) return {};  // no locks on this file system
        if (std::chrono::steady_clock::now() >= deadline)
            return make_error(errors::kBusy, "another repair works on {}", path.string());
        std::this_thread::sleep_for(kLookAgain);
    }
    return {};
}

// Read-only also for a repair: a kernel that keeps others from writing to a mounted disk would not mount it then.
Result<UniqueFd> lock_device(const fs::path& path, bool read_only) {
    auto fd = TRY(open_fd(path, O_RDONLY));
    if (!read_only) TRY(refuse_read_only(fd.get(), path));
    TRY(flock_it(fd.get(), path, read_only, kUdevsMoment));
    return fd;
}

}  // namespace

Result<DiskClaim> claim_disk(const fs::path& path, bool read_only) {
    TRY(refuse_mounted(path));
    TRY(refuse_parent(path, read_only));
    std::error_code none;
    // Its partitions are mounted one by one, each of which the kernel claims.
    DiskClaim out;
    if (fs::is_block_file(path, none)) {
        out.disk = TRY(lock_device(path, read_only));
        out.behind = TRY(lock_behind(path, read_only));
    } else {
        out.disk = TRY(lock_file(path, read_only));
    }
    return out;
}

Result<UniqueFd> claim_root(const fs::path& root, bool read_only) {
    auto fd = TRY(open_fd(root, O_RDONLY | O_DIRECTORY));
    TRY(flock_it(fd.get(), root, read_only, kToolsEnd));
    return fd;
}

Result<ClaimedDisk> open_claimed(const fs::path& path, bool read_only) {
    TRY(refuse_mounted(path));
    TRY(refuse_parent(path, read_only));
    const auto mode = read_only ? disks::OpenMode::ReadOnly : disks::OpenMode::ReadWrite;
    std::error_code none;
    ClaimedDisk out;
    if (fs::is_block_file(path, none)) {
        // The kernel mounts nothing of it meanwhile.
        auto& disk = out.claim.disk;
        disk = UniqueFd(::open(path.c_str(), (read_only ? O_RDONLY : O_RDWR) | O_EXCL | O_CLOEXEC));
        if (!disk.valid() && errno == EBUSY)
            return make_error(errors::kInUse, "{} is held by something else", path.string());
        if (disk.valid() && !read_only) TRY(refuse_read_only(disk.get(), path));
        if (disk.valid()) TRY(flock_it(disk.get(), path, read_only, kUdevsMoment));
        out.claim.behind = TRY(lock_behind(path, read_only));
    } else if (read_only || !disks::looks_like_vhd(path)) {
        out.claim.disk = TRY(lock_file(path, read_only));
    } else {
        TRY(refuse_shown(TRY(open_fd(path, O_RDONLY)).get(), path, read_only));
    }  // and: a VHD that is opened for writing is locked by that
    out.disk = TRY(disks::open_disk(path, mode));
    return out;
}

Result<std::unique_ptr<disks::BlockDevice>> open_under_claim(const fs::path& path, disks::OpenMode mode) {
    if (!disks::looks_like_vhd(path)) return disks::open_disk(path, mode);
    disks::vhd::OpenRequest request;
    request.mode = mode;
    request.lock = false;
    return std::move(TRY(disks::vhd::open_chain(path, request)).disk);
}

}  // namespace slipway::fixup
