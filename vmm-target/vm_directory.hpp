// SPDX-License-Identifier: GPL-3.0-or-later
// One machine's directory: its definition, how it was started, and the QEMU process that runs it.
#pragma once

#include <chrono>
#include <filesystem>
#include <optional>

#include "lib/base/fd.hpp"
#include "vmm-target/target.hpp"

namespace slipway::vmm {

// Held while a machine (or the networks) is changed, also against other processes.
class FileLock {
public:
    static Result<FileLock> acquire(const std::filesystem::path& file);

private:
    explicit FileLock(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

// A process of which it is certain, by a pidfd, that it is still the same one.
class QemuProcess {
public:
    static std::optional<QemuProcess> find(const std::filesystem::path& pid_file);
    int fd() const { return fd_.get(); }
    bool wait_end(std::chrono::milliseconds timeout) const;
    void kill() const;

private:
    explicit QemuProcess(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
};

// run.json: written before anything of a start is done, so that what it made can be taken away.
struct RunRecord {
    StartOptions options;
    std::vector<std::string> taps;
    std::int64_t started_ms = 0;  // unix time
};

class VmDirectory {
public:
    explicit VmDirectory(std::filesystem::path path) : path_(std::move(path)) {}
    const std::filesystem::path& path() const { return path_; }
    std::filesystem::path operator/(std::string_view name) const { return path_ / name; }

    bool exists() const { return std::filesystem::exists(path_ / "vm.xml"); }
    // A create or remove that was cut off.
    bool half_made() const { return !exists() && std::filesystem::exists(path_ / "changing.xml"); }
    Result<VmDefinition> definition() const;

    // The definition stands in changing.xml while disks are made and while they are removed.
    Status begin_create(const VmDefinition& definition) const;
    Status finish_create() const;
    Status remove_all() const;  // the disks that were made for it, then the directory

    std::filesystem::path undo_file(std::size_t disk) const;
    std::size_t undo_count() const;  // how many undo disks there are

    std::filesystem::path pid_file() const { return path_ / "pid"; }
    std::optional<QemuProcess> process() const { return QemuProcess::find(pid_file()); }
    Status write_run(const RunRecord& run) const;
    std::optional<RunRecord> run() const;

private:
    std::filesystem::path path_;
};

// Makes the disks that are to be made; on failure those already made are removed. Errors: vmm.disk-exists,
// .disk-missing, .linked-disk.
Status make_disks(const VmDefinition& definition, const std::filesystem::path& directory);
Status check_disk_files(const VmDefinition& definition, const std::filesystem::path& directory);

}  // namespace slipway::vmm
