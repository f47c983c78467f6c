// SPDX-License-Identifier: GPL-3.0-or-later
// A tree of read-only files served to the kernel by FUSE (libfuse 3, low-level interface, several threads).
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "lib/base/result.hpp"
#include "lib/disks/block.hpp"

struct fuse_session;

namespace slipway::console {

// What is served. Never changed once it is mounted, so that the kernel may keep all it has seen.
class FileTree {
public:
    FileTree() { nodes_.push_back({}); }
    // "volumes/0p1.raw": directories on the way are made. A path that is there already stays what it is; then false.
    bool add_file(const std::string& path, std::shared_ptr<disks::BlockDevice> content);
    bool add_directory(const std::string& path);

    struct Node {
        std::size_t parent = 0;
        std::shared_ptr<disks::BlockDevice> content;  // null: a directory; shared by what made it and by the tree
        std::map<std::string, std::size_t> children;
    };
    // By number; 0 is the root. Inode numbers are these plus one.
    const std::vector<Node>& nodes() const { return nodes_; }

private:
    std::size_t directory(const std::string& path);
    std::vector<Node> nodes_;
};

class FuseMount {
public:
    struct Options {
        std::string source;      // as findmnt shows it; the type is fuse.slipway
        bool everybody = false;  // other users than the one who mounts, too
    };
    // Mounts; `tree` outlives the mount. Errors: console.no-fuse, console.mount-failed.
    static Result<FuseMount> create(const FileTree& tree, const std::string& at, const Options& options);
    FuseMount(FuseMount&&) noexcept = default;
    ~FuseMount();  // unmounts, if it still is mounted

    // Serves until it is unmounted, or SIGHUP, SIGINT or SIGTERM comes.
    Status serve();

private:
    FuseMount() = default;
    struct Free {
        void operator()(fuse_session* session) const;
    };
    std::unique_ptr<fuse_session, Free> session_;
};

}  // namespace slipway::console
