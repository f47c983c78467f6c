// SPDX-License-Identifier: GPL-3.0-or-later
// The store's few file operations, as an interface, so that a test can make the N-th one fail.
#pragma once

#include <filesystem>
#include <functional>

#include "lib/base/fd.hpp"

namespace slipway::imagestore {

class Files {
public:
    virtual ~Files() = default;
    virtual Status make_directory(const std::filesystem::path& path);    // fine when it exists
    virtual Result<UniqueFd> create(const std::filesystem::path& path);  // new, read-write
    virtual Result<UniqueFd> open(const std::filesystem::path& path, bool writable = false);
    virtual Result<std::size_t> read(int fd, std::span<std::byte> out, std::uint64_t offset);
    virtual Status write(int fd, ByteView data, std::uint64_t offset);
    virtual Status truncate(int fd, std::uint64_t size);
    virtual Status sync(int fd);
    virtual void start_writeback(int fd, std::uint64_t offset, std::uint64_t length);  // a hint
    virtual Status sync_directory(const std::filesystem::path& path);
    virtual Status rename(const std::filesystem::path& from, const std::filesystem::path& to);
    // Gives `from` the name `to` unless that exists: then base.exists.
    virtual Status publish(const std::filesystem::path& from, const std::filesystem::path& to);
    virtual Status remove(const std::filesystem::path& path);
    virtual Status touch(const std::filesystem::path& path);  // modification time = now
};

}  // namespace slipway::imagestore
