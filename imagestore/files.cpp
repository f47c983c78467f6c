// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/files.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>
#include <cstdio>

#include "lib/base/errors.hpp"

namespace slipway::imagestore {

Status Files::make_directory(const std::filesystem::path& path) {
    if (::mkdir(path.c_str(), 0755) != 0 && errno != EEXIST) return errno_error(errno, path.string());
    return {};
}

Result<UniqueFd> Files::create(const std::filesystem::path& path) {
    return open_fd(path, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0644);
}

Result<UniqueFd> Files::open(const std::filesystem::path& path, bool writable) {
    return open_fd(path, (writable ? O_RDWR : O_RDONLY) | O_NOFOLLOW);
}

Result<std::size_t> Files::read(int fd, std::span<std::byte> out, std::uint64_t offset) {
    return pread_full(fd, out, offset);
}

Status Files::write(int fd, ByteView data, std::uint64_t offset) { return pwrite_full(fd, data, offset); }

Status Files::truncate(int fd, std::uint64_t size) {
    if (::ftruncate(fd, static_cast<off_t>(size)) != 0) return errno_error(errno, "cutting a file of the store");
    return {};
}

Status Files::sync(int fd) { return fsync_fd(fd, "a file of the store"); }
void Files::start_writeback(int fd, std::uint64_t offset, std::uint64_t length) {
    slipway::start_writeback(fd, offset, length);
}
Status Files::sync_directory(const std::filesystem::path& path) { return fsync_directory(path); }

Status Files::rename(const std::filesystem::path& from, const std::filesystem::path& to) {
    if (::rename(from.c_str(), to.c_str()) != 0) return errno_error(errno, to.string());
    return {};
}

// renameat2 where the file system knows the flag (NFS and some FUSE ones do not), else a hard link.
Status Files::publish(const std::filesystem::path& from, const std::filesystem::path& to) {
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), RENAME_NOREPLACE) == 0) return {};
    if (errno != EINVAL && errno != ENOSYS) return errno_error(errno, to.string());
    if (::link(from.c_str(), to.c_str()) != 0) return errno_error(errno, to.string());
    ::unlink(from.c_str());
    return {};
}

Status Files::remove(const std::filesystem::path& path) {
    if (::unlink(path.c_str()) != 0) return errno_error(errno, path.string());
    return {};
}

Status Files::touch(const std::filesystem::path& path) {
    if (::utimensat(AT_FDCWD, path.c_str(), nullptr, 0) != 0) return errno_error(errno, path.string());
    return {};
}

}  // namespace slipway::imagestore
