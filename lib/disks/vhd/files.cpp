// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/vhd/files.hpp"

#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>

#include "lib/base/errors.hpp"
#include "lib/base/uuid.hpp"
#include "lib/disks/errors.hpp"

namespace slipway::disks::vhd {

namespace fs = std::filesystem;

namespace {

fs::path directory_of(const fs::path& path) { return path.has_parent_path() ? path.parent_path() : fs::path("."); }

}  // namespace

Result<UniqueFd> Files::open(const fs::path& path, OpenMode mode) {
    struct stat st {};
    // Looked at before it is opened: opening a FIFO waits for its other end, and a parent's path comes from a file.
    if (::stat(path.c_str(), &st) != 0) return errno_error(errno, path.string());
    if (!S_ISREG(st.st_mode)) return make_error(slipway::errors::kBadValue, "{} is not a regular file", path.string());
    return open_fd(path, (mode == OpenMode::ReadWrite ? O_RDWR : O_RDONLY) | O_NONBLOCK);
}

Result<UniqueFd> Files::create(const fs::path& path) { return open_fd(path, O_RDWR | O_CREAT | O_EXCL); }

Result<std::uint64_t> Files::size(int fd) {
    struct stat st {};
    if (::fstat(fd, &st) != 0) return errno_error(errno, "the file's size");
    return static_cast<std::uint64_t>(st.st_size);
}

Result<std::size_t> Files::read(int fd, std::span<std::byte> out, std::uint64_t offset) {
    return pread_full(fd, out, offset);
}

Status Files::write(int fd, ByteView data, std::uint64_t offset) { return pwrite_full(fd, data, offset); }

Status Files::clear(int fd, std::uint64_t offset, std::uint64_t length) {
    auto end = std::min(TRY(size(fd)), offset + length);
    if (offset >= end) return {};
    if (::fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, static_cast<off_t>(offset),
                    static_cast<off_t>(end - offset)) == 0)
        return {};
    const Bytes zero(std::min<std::uint64_t>(end - offset, 1u << 20));
    for (; offset < end; offset += std::min<std::uint64_t>(zero.size(), end - offset))
        TRY(write(fd, ByteView(zero).first(std::min<std::uint64_t>(zero.size(), end - offset)), offset));
    return {};
}

Status Files::truncate(int fd, std::uint64_t size) {
    if (::ftruncate(fd, static_cast<off_t>(size)) != 0) return errno_error(errno, "setting the file's size");
    return {};
}

Status Files::sync(int fd) { return fsync_fd(fd, "the file"); }

PastCache Files::past_cache(int fd) {
    forget_cached(fd);
    return PastCache::open(fd);
}

Status Files::rename(const fs::path& from, const fs::path& to, bool replace) {
    if (::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), replace ? 0 : RENAME_NOREPLACE) != 0) {
        if (replace || errno != EINVAL) return errno_error(errno, to.string());
        // A file system that cannot refuse by itself (NFS, CIFS): the name is taken by a second link first.
        if (::link(from.c_str(), to.c_str()) != 0) return errno_error(errno, to.string());
        if (::unlink(from.c_str()) != 0) return errno_error(errno, from.string());
    }
    return fsync_directory(directory_of(to));
}

Status Files::remove(const fs::path& path) {
    if (::unlink(path.c_str()) != 0) return errno_error(errno, path.string());
    return fsync_directory(directory_of(path));
}

Files& real_files() {
    static Files files;
    return files;
}

Result<File> File::open(Files& files, const fs::path& path, OpenMode mode) {
    auto fd = TRY(files.open(path, mode));
    auto size = TRY(files.size(fd.get()));
    return File(files, path, std::move(fd), mode, size);
}

Status File::read(std::uint64_t offset, std::span<std::byte> buffer) const {
    if (offset > std::uint64_t{1} << 62) return make_error(errors::kRange, "no file reaches byte {}", offset);
    // Not held against size_, which another thread may be growing: a short read says the same.
    auto n = direct_.valid() ? direct_.read(buffer, offset) : files_->read(fd_.get(), buffer, offset);
    if (!n.ok()) return make_error(errors::kRead, "{}", n.error().message());
    if (*n != buffer.size()) return make_error(errors::kRange, "the file ends at byte {}", offset + *n);
    return {};
}

Status File::write(std::uint64_t offset, ByteView data) {
    TRY(files_->write(fd_.get(), data, offset));
    size_ = std::max(size_, offset + data.size());
    return {};
}

Status File::clear(std::uint64_t offset, std::uint64_t length) { return files_->clear(fd_.get(), offset, length); }

Status File::truncate(std::uint64_t size) {
    TRY(files_->truncate(fd_.get(), size));
    size_ = size;
    return {};
}

Status File::flush() { return files_->sync(fd_.get()); }

Result<bool> File::read_past_cache() {
    TRY(flush());
    direct_ = files_->past_cache(fd_.get());
    return direct_.valid();
}

Result<NewFile> NewFile::create(Files& files, const fs::path& target, bool replace) {
    std::error_code none;
    if (!replace && fs::exists(fs::symlink_status(target, none)))
        return make_error(slipway::errors::kExists, "{} exists", target.string());
    auto temp = directory_of(target) / fmt::format(".{}.slipway-{}", target.filename().string(), random_token(4));
    auto fd = TRY(files.create(temp));
    std::unique_ptr<File> file(new File(files, temp, std::move(fd), OpenMode::ReadWrite, 0));
    return NewFile(std::move(file), target, replace);
}

NewFile::~NewFile() {
    if (file_ && !published_) ::unlink(file_->path().c_str());
}

Status NewFile::take_after(const fs::path& other) {
    struct stat st {};
    if (::stat(other.c_str(), &st) != 0) return errno_error(errno, other.string());
    // Another user's file stays readable to its owner where we may; where we may not, it becomes ours.
    [[maybe_unused]] int owner = ::fchown(file_->fd(), st.st_uid, st.st_gid);
    if (::fchmod(file_->fd(), st.st_mode & 07777) != 0) return errno_error(errno, file_->path().string());
    return {};
}

Status NewFile::publish() {
    TRY(file_->flush());
    TRY(file_->files().rename(file_->path(), target_, replace_));
    published_ = true;
    file_->path_ = target_;
    return {};
}

File NewFile::release() && { return std::move(*file_); }

}  // namespace slipway::disks::vhd
