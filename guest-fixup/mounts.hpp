// SPDX-License-Identifier: GPL-3.0-or-later
// The guest's volumes as mounts of this thread's private mount namespace. Loop devices clear themselves when their
// last user goes, mounts vanish with the thread's namespace: a kill leaves nothing behind.
#pragma once

#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "guest-fixup/claim.hpp"
#include "guest-fixup/volumes.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"

namespace slipway::fixup {

// Moves this thread into a mount namespace of its own. For a thread made for the repair; it cannot go back. What this
// host mounts and unmounts is so here as well, and nothing of ours is so there (mount_namespaces(7), MS_SLAVE).
Status enter_private_mounts();

// A window of a file or block device as a block device.
class LoopDevice {
public:
    static Result<LoopDevice> attach(const std::filesystem::path& backing, std::uint64_t offset, std::uint64_t length,
                                     bool read_only);
    const std::filesystem::path& path() const { return path_; }

private:
    LoopDevice(UniqueFd fd, std::filesystem::path path) : fd_(std::move(fd)), path_(std::move(path)) {}
    UniqueFd fd_;
    std::filesystem::path path_;
};

// Mounts, undone in reverse order.
class MountStack {
public:
    MountStack() = default;
    MountStack(const MountStack&) = delete;
    MountStack& operator=(const MountStack&) = delete;
    ~MountStack() { unmount_all(); }
    // options: more of the file system's own, "subvol=@"
    Status mount(const std::filesystem::path& device, const std::filesystem::path& where, const Volume& volume,
                 bool read_only, const std::string& options = {});
    void unmount_all();

private:
    struct Mounted {
        std::filesystem::path place;
        UniqueFd parent;              // its directory: this host may mount something over the way to it
        std::optional<Child> server;  // of a file system in user space: it has written all out when it ends
    };
    std::vector<Mounted> mounted_;
};

// A disk of the guest: its volumes and how to get at them.
class GuestDisk {
public:
    // A block device, a raw file or a fixed VHD; other formats are named errors. It is ours alone (claim.hpp) for as
    // long as this lives.
    static Result<GuestDisk> open(const std::filesystem::path& disk, bool read_only);
    const std::vector<Volume>& volumes() const { return volumes_; }
    // A block device for one volume, made when first asked for.
    Result<std::filesystem::path> device_of(const Volume& volume);
    // One that cannot be written to, whatever lies over it.
    Result<std::filesystem::path> read_only_device_of(const Volume& volume);
    const std::filesystem::path& path() const { return path_; }
    // What is missing of it, for people: "x.img has 1048576 bytes, and its partitions end at 42991616"; "": nothing.
    const std::string& cut() const { return cut_; }
    Status flush();

private:
    struct Attached {
        std::uint64_t offset;
        LoopDevice loop;
    };
    GuestDisk(std::filesystem::path path, bool read_only) : path_(std::move(path)), read_only_(read_only) {}
    std::filesystem::path path_;
    bool read_only_;
    DiskClaim claim_;
    std::string cut_;
    std::vector<Volume> volumes_;
    Result<std::filesystem::path> loop_of(const Volume& volume);
    std::vector<Attached> loops_;
};

// The kernel's own partition of a block device at that place, when it has one.
std::optional<std::filesystem::path> kernel_partition(const std::filesystem::path& disk, const Volume& volume);

// The partitions beside the one that `root` is mounted from; empty when that is no partition of a disk.
std::vector<Volume> volumes_beside(const std::filesystem::path& root);

}  // namespace slipway::fixup
