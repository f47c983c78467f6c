// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/mounts.hpp"

#include <fcntl.h>
#include <linux/fs.h>
#include <linux/loop.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>

#include "guest-fixup/claim.hpp"
#include "guest-fixup/errors.hpp"
#include "guest-fixup/ntfs_mount.hpp"
#include "guest-fixup/stacks.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"
#include "lib/disks/layout.hpp"
#include "lib/disks/vhd/vhd.hpp"

namespace slipway::fixup {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMostMounts = 128;

Status refuse_formats(const fs::path& disk) {
    auto fd = TRY(open_fd(disk, O_RDONLY));
    Bytes start(512);
    start.resize(TRY(pread_full(fd.get(), start, 0)));
    if (const auto format = foreign_format(start); !format.empty())
        return make_error(errors::kImageFormat, "{} is a {} image", disk.string(), format);
    if (!disks::looks_like_vhd(disk)) return {};
    const auto info = TRY(disks::inspect_vhd(disk));
    if (info.kind != disks::VhdKind::Fixed)
        return make_error(errors::kImageFormat, "{} is a {} VHD", disk.string(), disks::name_of(info.kind));
    return {};
}

}  // namespace

std::optional<fs::path> kernel_partition(const fs::path& disk, const Volume& volume) {
    struct stat info {};
    if (::stat(disk.c_str(), &info) != 0 || !S_ISBLK(info.st_mode)) return std::nullopt;
    if (volume.index == 0) return disk;
    const fs::path sys = fmt::format("/sys/dev/block/{}:{}", major(info.st_rdev), minor(info.st_rdev));
    std::error_code none;
    for (const auto& entry : fs::directory_iterator(sys, none)) {
        auto number = read_text_file(entry.path() / "partition");
        auto start = read_text_file(entry.path() / "start");
        if (!number || !start || parse_u64(trim(*number)) != volume.index) continue;
        if (parse_u64(trim(*start)).value_or(0) * 512 != volume.offset) continue;
        const fs::path node = "/dev/" + entry.path().filename().string();
        if (fs::is_block_file(node, none)) return node;
    }
    return std::nullopt;
}

namespace {

// A disk that was just laid down still has the kernel's old view of it.
void reread_partitions(const fs::path& disk, const std::vector<Volume>& volumes) {
    struct stat info {};
    if (::stat(disk.c_str(), &info) != 0 || !S_ISBLK(info.st_mode)) return;
    if (std::all_of(volumes.begin(), volumes.end(), [&](auto& v) { return kernel_partition(disk, v).has_value(); }))
        return;
    // A kernel without partition parsers, or a disk in use, refuses; then loop devices serve.
    if (auto fd = open_fd(disk, O_RDONLY)) (void)::ioctl(fd->get(), BLKRRPART);
}

// Mounted read-only, or where we do not see it: in another mount namespace. What layers lie on is looked at when they
// are activated (check_unused), after those of a repair that was killed are taken down.
Status refuse_held(const fs::path& disk, const std::vector<Volume>& volumes) {
    for (const auto& volume : volumes) {
        const auto& type = volume.filesystem;
        if (type != "ext4" && type != "xfs" && type != "btrfs" && type != "vfat" && type != "ntfs") continue;
        if (const auto partition = kernel_partition(disk, volume)) TRY(check_unused(*partition));
    }
    return {};
}

const char* mount_options(const Volume& volume, bool read_only) {
    // Of a clone beside the disk that it was made of XFS would mount the first one alone.
    if (volume.filesystem == "xfs") return read_only ? "norecovery,nouuid" : "nouuid";
    if (!read_only) return "";
    if (volume.filesystem == "ext4") return "noload";
    return volume.filesystem == "btrfs" ? "rescue=nologreplay" : "";
}

}  // namespace

Status enter_private_mounts() {
    if (::unshare(CLONE_NEWNS) != 0) {
        if (errno == EPERM) return make_error(errors::kNotRoot, "no right to make a mount namespace");
        return errno_error(errno, "a mount namespace");
    }
    // Private, they would hold what this host unmounts meanwhile until the repair ends. Of a slave's mounts none gets
    // out: what is mounted on one is private.
    if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0)
        return errno_error(errno, "making the mounts our own");
    return {};
}

Result<LoopDevice> LoopDevice::attach(const fs::path& backing, std::uint64_t offset, std::uint64_t length,
                                      bool read_only) {
    auto control = open_fd("/dev/loop-control", O_RDWR);
    if (!control) return make_error(errors::kNoLoop, "/dev/loop-control: {}", control.error().message());
    auto file = TRY(open_fd(backing, read_only ? O_RDONLY : O_RDWR));
    loop_config config{};
    config.fd = static_cast<__u32>(file.get());
    config.info.lo_offset = offset;
    config.info.lo_sizelimit = length;
    config.info.lo_flags = LO_FLAGS_AUTOCLEAR | (read_only ? LO_FLAGS_READ_ONLY : 0);
    // Between asking for a free number and taking it someone else may take it.
    for (int tries = 0; tries < 20; ++tries) {
        const int number = ::ioctl(control->get(), LOOP_CTL_GET_FREE);
        if (number < 0) return make_error(errors::kNoLoop, "no loop device is free: {}", std::strerror(errno));
        const auto path = fmt::format("/dev/loop{}", number);
        auto fd = open_fd(path, read_only ? O_RDONLY : O_RDWR);
        if (!fd) return make_error(errors::kNoLoop, "{}: {}", path, fd.error().message());
        if (::ioctl(fd->get(), LOOP_CONFIGURE, &config) == 0) return LoopDevice(std::move(*fd), path);
        if (errno != EBUSY) return make_error(errors::kNoLoop, "{}: {}", path, std::strerror(errno));
    }
    return make_error(errors::kNoLoop, "every loop device was taken by someone else first");
}

Status MountStack::mount(const fs::path& device, const fs::path& where, const Volume& volume, bool read_only,
                         const std::string& options) {
    const unsigned long flags = MS_NODEV | MS_NOSUID | (read_only ? MS_RDONLY : 0);
    // A thousand lines of fstab are not a thousand mounts.
    if (mounted_.size() >= kMostMounts)
        return make_error(errors::kMount, "fstab names more than {} file systems of this disk", kMostMounts);
    // The directory itself, wherever a link may have come in.
    auto opened = open_fd(where, O_PATH | O_DIRECTORY | O_NOFOLLOW);
    if (!opened) return make_error(errors::kMount, "no directory to mount on: {}", opened.error().message());
    const auto target = *std::move(opened);
    UniqueFd parent(::openat(target.get(), "..", O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!parent.valid()) return errno_error(errno, where.string());
    const auto held = fmt::format("/proc/self/fd/{}", target.get());
    std::error_code failed;
    const auto real = fs::read_symlink(held, failed);
    if (failed || (!mounted_.empty() && real != where))
        return make_error(errors::kMount, "{} leads elsewhere", where.string());
    // Of two on one place, the first: also when a link makes the place the root itself.
    if (std::any_of(mounted_.begin(), mounted_.end(), [&](const auto& m) { return m.place == real; })) return {};
    std::string data = mount_options(volume, read_only);
    if (!options.empty()) data += (data.empty() ? "" : ",") + options;
    if (volume.filesystem == "ntfs") {
        auto server = TRY_WITH(mount_ntfs(device, real, flags), describe(volume));
        mounted_.push_back({real, std::move(parent), std::move(server)});
        return {};
    }
    if (::mount(device.c_str(), held.c_str(), volume.filesystem.c_str(), flags, data.c_str()) != 0) {
        if (errno == ENODEV)
            return make_error(errors::kNeedsAgent, "{}: this kernel does not mount {}", describe(volume),
                              volume.filesystem);
        return make_error(errors::kMount, "{} ({}): {}", describe(volume), volume.filesystem, std::strerror(errno));
    }
    mounted_.push_back({real, std::move(parent), std::nullopt});
    return {};
}

void MountStack::unmount_all() {
    for (; !mounted_.empty(); mounted_.pop_back()) {
        auto& last = mounted_.back();
        const auto place = fmt::format("/proc/thread-self/fd/{}/{}", last.parent.get(), last.place.filename().string());
        if (::umount2(place.c_str(), UMOUNT_NOFOLLOW) != 0) ::umount2(place.c_str(), MNT_DETACH | UMOUNT_NOFOLLOW);
        if (last.server) wait_for_ntfs(*last.server);
    }
}

Result<GuestDisk> GuestDisk::open(const fs::path& disk, bool read_only) {
    TRY(refuse_formats(disk));
    GuestDisk out(disk, read_only);
    out.claim_ = TRY(claim_disk(disk, read_only));
    {
        auto device = TRY(disks::open_disk(disk, disks::OpenMode::ReadOnly));
        out.volumes_ = TRY_WITH(read_volumes(*device), disk.string());
        const auto reach = TRY_WITH(disks::read_layout(*device), disk.string()).reach;
        if (reach > device->size())
            out.cut_ =
                fmt::format("{} has {} bytes, and its partitions end at {}", disk.string(), device->size(), reach);
    }
    reread_partitions(disk, out.volumes_);
    if (!read_only) TRY(refuse_held(disk, out.volumes_));
    return out;
}

Result<fs::path> GuestDisk::device_of(const Volume& volume) {
    if (auto partition = kernel_partition(path_, volume)) return *partition;
    return loop_of(volume);
}

Result<fs::path> GuestDisk::read_only_device_of(const Volume& volume) {
    if (!read_only_) return make_error(errors::kRequest, "{} is open for writing", path_.string());
    return loop_of(volume);
}

Result<fs::path> GuestDisk::loop_of(const Volume& volume) {
    for (const auto& attached : loops_)
        if (attached.offset == volume.offset) return attached.loop.path();
    auto loop = TRY(LoopDevice::attach(path_, volume.offset, volume.length, read_only_));
    auto path = loop.path();
    loops_.push_back({volume.offset, std::move(loop)});
    return path;
}

Status GuestDisk::flush() {
    loops_.clear();
    if (read_only_) return {};
    auto fd = TRY(open_fd(path_, O_RDWR));
    return fsync_fd(fd.get(), path_.string());
}

std::vector<Volume> volumes_beside(const fs::path& root) {
    struct stat info {};
    if (::stat(root.c_str(), &info) != 0) return {};
    std::error_code failed;
    const auto sys = fs::canonical(fmt::format("/sys/dev/block/{}:{}", major(info.st_dev), minor(info.st_dev)), failed);
    if (failed || !fs::exists(sys / "partition")) return {};
    auto disk = disks::open_disk("/dev/" + sys.parent_path().filename().string(), disks::OpenMode::ReadOnly);
    if (!disk) return {};
    return read_volumes(**disk).value_or({});
}

}  // namespace slipway::fixup
