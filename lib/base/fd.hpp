// SPDX-License-Identifier: GPL-3.0-or-later
// Owners and whole-transfer helpers for file descriptors, and files written so that a crash leaves
// the old content or the new.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"

namespace slipway {

// Move-only owner of a file descriptor.
class UniqueFd {
public:
    UniqueFd() = default;
    explicit UniqueFd(int fd) : fd_(fd) {}
    UniqueFd(UniqueFd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    UniqueFd& operator=(UniqueFd&& other) noexcept;
    ~UniqueFd() { reset(); }

    int get() const { return fd_; }
    bool valid() const { return fd_ >= 0; }
    int release() { return std::exchange(fd_, -1); }
    void reset();
    Status close();  // as reset(), but reports a failing close (NFS, full disk)

private:
    int fd_ = -1;
};

// flags as open(2); O_CLOEXEC is always added.
Result<UniqueFd> open_fd(const std::filesystem::path& path, int flags, unsigned mode = 0644);

// Reads up to buffer.size() bytes at offset; fewer only at the end of the file.
Result<std::size_t> pread_full(int fd, std::span<std::byte> buffer, std::uint64_t offset);
Status pwrite_full(int fd, ByteView data, std::uint64_t offset);
Status write_full(int fd, ByteView data);
Status fsync_fd(int fd, std::string_view what);
// Begins to write the range's dirty pages to the disk and does not wait, so that a later fsync is short. Promises
// nothing: what is durable is said by fsync alone.
void start_writeback(int fd, std::uint64_t offset, std::uint64_t length);
inline constexpr std::uint64_t kWritebackBytes = 8u << 20;  // worth a call
Status fsync_directory(const std::filesystem::path& directory);

// Whole file; refuses more than limit bytes (hostile or mistaken input).
Result<Bytes> read_file(const std::filesystem::path& path, std::uint64_t limit = 64u << 20);
Result<std::string> read_text_file(const std::filesystem::path& path, std::uint64_t limit = 64u << 20);
// temp beside it, write, fsync, rename over, fsync directory. A terminal, /dev/null or a pipe is written to and stays;
// a disk is refused (base.bad-value).
Status write_file_atomic(const std::filesystem::path& path, ByteView data, unsigned mode = 0644);

}  // namespace slipway
