// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/fd.hpp"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/errors.hpp"

namespace slipway {

Error errno_error(int errno_value, std::string_view what) {
    const ErrorId& id = errno_value == ENOSPC || errno_value == EDQUOT ? errors::kNoSpace
                        : errno_value == ENOENT                        ? errors::kNotFound
                        : errno_value == EEXIST                        ? errors::kExists
                                                                       : errors::kIo;
    return make_error(id, "{}: {}", what, std::strerror(errno_value));
}

UniqueFd& UniqueFd::operator=(UniqueFd&& other) noexcept {
    if (this != &other) {
        reset();
        fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
}

void UniqueFd::reset() {
    if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Status UniqueFd::close() {
    if (fd_ >= 0 && ::close(std::exchange(fd_, -1)) != 0) return errno_error(errno, "close");
    return {};
}

Result<UniqueFd> open_fd(const std::filesystem::path& path, int flags, unsigned mode) {
    int fd = ::open(path.c_str(), flags | O_CLOEXEC, mode);
    if (fd < 0) return errno_error(errno, path.string());
    return UniqueFd(fd);
}

Result<std::size_t> pread_full(int fd, std::span<std::byte> buffer, std::uint64_t offset) {
    std::size_t done = 0;
    while (done < buffer.size()) {
        auto n = ::pread(fd, buffer.data() + done, buffer.size() - done, static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno_error(errno, fmt::format("reading at byte {}", offset + done));
        if (n == 0) break;
        done += static_cast<std::size_t>(n);
    }
    return done;
}

Status pwrite_full(int fd, ByteView data, std::uint64_t offset) {
    std::size_t done = 0;
    while (done < data.size()) {
        auto n = ::pwrite(fd, data.data() + done, data.size() - done, static_cast<off_t>(offset + done));
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno_error(errno, fmt::format("writing at byte {}", offset + done));
        done += static_cast<std::size_t>(n);
    }
    return {};
}

Status write_full(int fd, ByteView data) {
    std::size_t done = 0;
    while (done < data.size()) {
        auto n = ::write(fd, data.data() + done, data.size() - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno_error(errno, "writing");
        done += static_cast<std::size_t>(n);
    }
    return {};
}

Status fsync_fd(int fd, std::string_view what) {
    if (::fsync(fd) != 0) return errno_error(errno, fmt::format("fsync of {}", what));
    return {};
}

void start_writeback(int fd, std::uint64_t offset, std::uint64_t length) {
    // Not every file system can; fsync does the work then.
    (void)::sync_file_range(fd, static_cast<off_t>(offset), static_cast<off_t>(length), SYNC_FILE_RANGE_WRITE);
}

Status fsync_directory(const std::filesystem::path& directory) {
    auto fd = TRY(open_fd(directory, O_RDONLY | O_DIRECTORY));
    return fsync_fd(fd.get(), directory.string());
}

Result<Bytes> read_file(const std::filesystem::path& path, std::uint64_t limit) {
    auto fd = TRY(open_fd(path, O_RDONLY));
    Bytes out;
    Bytes block(64u << 10);
    for (;;) {
        auto n = ::read(fd.get(), block.data(), block.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return errno_error(errno, path.string());
        if (n == 0) return out;
        if (out.size() + static_cast<std::size_t>(n) > limit)
            return make_error(errors::kBadValue, "{} is larger than {} bytes", path.string(), limit);
        out.insert(out.end(), block.begin(), block.begin() + n);
    }
}

Result<std::string> read_text_file(const std::filesystem::path& path, std::uint64_t limit) {
    auto bytes = TRY(read_file(path, limit));
    return std::string(as_text(bytes));
}

namespace {

// As root a rename would put a file in the place of /dev/null, or of a disk's node.
Status write_through(const std::filesystem::path& path, mode_t kind, ByteView data) {
    if (!S_ISCHR(kind) && !S_ISFIFO(kind))
        return make_error(errors::kBadValue, "{} is a {}, not a file", path.string(),
                          S_ISBLK(kind) ? "disk" : "socket or another special file");
    UniqueFd fd(::open(path.c_str(), O_WRONLY | O_NOCTTY | O_CLOEXEC));
    if (!fd.valid()) return errno_error(errno, path.string());
    TRY(write_full(fd.get(), data));
    return fd.close();
}

}  // namespace

Status write_file_atomic(const std::filesystem::path& path, ByteView data, unsigned mode) {
    struct stat there{};
    if (::stat(path.c_str(), &there) == 0 && !S_ISREG(there.st_mode) && !S_ISDIR(there.st_mode))
        return write_through(path, there.st_mode, data).with("writing " + path.string());
    auto directory = path.has_parent_path() ? path.parent_path() : std::filesystem::path(".");
    std::string temp = (directory / ("." + path.filename().string() + ".XXXXXX")).string();
    UniqueFd fd(::mkostemp(temp.data(), O_CLOEXEC));
    if (!fd.valid()) return errno_error(errno, path.string());
    auto written = [&]() -> Status {
        if (::fchmod(fd.get(), mode) != 0) return errno_error(errno, temp);
        TRY(write_full(fd.get(), data));
        TRY(fsync_fd(fd.get(), temp));
        TRY(fd.close());
        if (::rename(temp.c_str(), path.c_str()) != 0) return errno_error(errno, path.string());
        return fsync_directory(directory);
    }();
    if (!written) ::unlink(temp.c_str());
    return std::move(written).with("writing " + path.string());
}

}  // namespace slipway
