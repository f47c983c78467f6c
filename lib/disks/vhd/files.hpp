// SPDX-License-Identifier: GPL-3.0-or-later
// The few file operations VHD work is made of, as an interface, so that a test can make the N-th one fail; and owners
// on top of it: a file that may grow, and a new file that gets its name only when it is complete.
#pragma once

#include <filesystem>
#include <memory>

#include "lib/base/fd.hpp"
#include "lib/disks/block.hpp"

namespace slipway::disks::vhd {

class Files {
public:
    virtual ~Files() = default;
    virtual Result<UniqueFd> open(const std::filesystem::path& path, OpenMode mode);  // regular files only
    virtual Result<UniqueFd> create(const std::filesystem::path& path);               // refuses an existing one
    virtual Result<std::uint64_t> size(int fd);
    virtual Result<std::size_t> read(int fd, std::span<std::byte> out, std::uint64_t offset);
    virtual Status write(int fd, ByteView data, std::uint64_t offset);
    // The range reads as zero afterwards, as a hole where the file system can; the file does not grow.
    virtual Status clear(int fd, std::uint64_t offset, std::uint64_t length);
    virtual Status truncate(int fd, std::uint64_t size);
    virtual Status sync(int fd);
    virtual PastCache past_cache(int fd);  // after dropping what can be dropped
    // Gives `from` the name `to` durably; with `replace` false an existing `to` is base.exists.
    virtual Status rename(const std::filesystem::path& from, const std::filesystem::path& to, bool replace);
    virtual Status remove(const std::filesystem::path& path);  // durably
};
Files& real_files();

// One open file. Reads past the end are errors::kRange, writes extend it.
class File {
public:
    static Result<File> open(Files& files, const std::filesystem::path& path, OpenMode mode);

    std::uint64_t size() const { return size_; }
    bool writable() const { return mode_ == OpenMode::ReadWrite; }
    const std::filesystem::path& path() const { return path_; }
    int fd() const { return fd_.get(); }
    Files& files() const { return *files_; }

    Status read(std::uint64_t offset, std::span<std::byte> buffer) const;
    Status write(std::uint64_t offset, ByteView data);
    Status clear(std::uint64_t offset, std::uint64_t length);
    Status truncate(std::uint64_t size);
    Status flush();
    // Flushes; reads that follow come from the medium. False: this file system cannot (BlockDevice::read_past_cache).
    Result<bool> read_past_cache();

private:
    friend class NewFile;
    File(Files& files, std::filesystem::path path, UniqueFd fd, OpenMode mode, std::uint64_t size)
        : files_(&files), path_(std::move(path)), fd_(std::move(fd)), mode_(mode), size_(size) {}
    Files* files_;
    std::filesystem::path path_;
    UniqueFd fd_;
    PastCache direct_;
    OpenMode mode_;
    std::uint64_t size_;
};

// A file made under a name of its own (.NAME.slipway-XXXXXXXX beside the target) and removed again unless it is
// published. After kill -9 that file may be left; it is nobody's and may be deleted.
class NewFile {
public:
    // Refuses an existing target at once, unless it is to be replaced.
    static Result<NewFile> create(Files& files, const std::filesystem::path& target, bool replace = false);
    NewFile(NewFile&& other) noexcept = default;
    ~NewFile();

    File& file() { return *file_; }
    // Keeps owner and mode of the file that is replaced.
    Status take_after(const std::filesystem::path& other);
    Status publish();   // fsync, rename, fsync of the directory
    File release() &&;  // after publish(): goes on under the new name

private:
    NewFile(std::unique_ptr<File> file, std::filesystem::path target, bool replace)
        : file_(std::move(file)), target_(std::move(target)), replace_(replace) {}
    std::unique_ptr<File> file_;
    std::filesystem::path target_;
    bool replace_;
    bool published_ = false;
};

}  // namespace slipway::disks::vhd
