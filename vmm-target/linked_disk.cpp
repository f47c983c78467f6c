// SPDX-License-Identifier: GPL-3.0-or-later
#include "vmm-target/linked_disk.hpp"

#include <algorithm>
#include <cerrno>

#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/device_info.hpp"
#include "vmm-target/errors.hpp"

namespace slipway::vmm {

namespace fs = std::filesystem;

namespace {

template <typename... Args>
Error against(const std::string& path, fmt::format_string<Args...> format, Args&&... args) {
    return make_error(errors::kLinkedDisk, "{} {}", path, fmt::format(format, std::forward<Args>(args)...));
}

Status check_kind(const std::string& path) {
    struct stat st {};
    if (::stat(path.c_str(), &st) != 0) return make_error(errors::kDiskMissing, "{} is not there", path);
    if (!S_ISBLK(st.st_mode)) return against(path, "is no block device");
    std::error_code ignored;
    if (fs::exists(fmt::format("/sys/dev/block/{}:{}/partition", major(st.st_rdev), minor(st.st_rdev)), ignored))
        return against(path, "is a partition: a machine takes a whole disk");
    return {};
}

// By the mounts first, which say more than the kernel's "busy".
Status check_unused(const std::string& path) {
    const auto mounts = TRY(disks::writable_mounts(path));
    if (std::find(mounts.begin(), mounts.end(), "/") != mounts.end())
        return against(path, "is the disk that this host runs from");
    if (!mounts.empty()) return against(path, "is in use by this host: {}", join(mounts, ", "));
    return {};
}

Status check_device(int fd, const VmDisk& disk) {
    int read_only = 0, sector = 0;
    std::uint64_t bytes = 0;
    if (::ioctl(fd, BLKROGET, &read_only) != 0 || ::ioctl(fd, BLKSSZGET, &sector) != 0 ||
        ::ioctl(fd, BLKGETSIZE64, &bytes) != 0)
        return errno_error(errno, disk.path);
    if (read_only) return against(disk.path, "is read-only");
    // Its partition table counts in its own sectors; the machine's controllers have those of 512 bytes.
    if (sector != 512) return against(disk.path, "has sectors of {} bytes, a machine's disks have 512", sector);
    if (bytes != disk.size_bytes)
        return against(disk.path, "has {} bytes, the definition says {}", bytes, disk.size_bytes);
    return {};
}

}  // namespace

Result<LinkedDisk> LinkedDisk::claim(const VmDisk& disk) {
    TRY(check_kind(disk.path));
    TRY(check_unused(disk.path));
    std::error_code failed;
    auto device = fs::canonical(disk.path, failed);
    if (failed) return errno_error(failed.value(), disk.path);
    UniqueFd fd(::open(device.c_str(), O_RDWR | O_EXCL | O_CLOEXEC));
    if (fd.get() < 0) {
        if (errno == EBUSY)
            return against(disk.path, "is in use: by a machine, mounted, or part of an array or volume group");
        if (errno == EACCES || errno == EROFS) return against(disk.path, "is read-only");
        return errno_error(errno, disk.path);
    }
    TRY(check_device(fd.get(), disk));
    return LinkedDisk(std::move(fd), std::move(device));
}

}  // namespace slipway::vmm
