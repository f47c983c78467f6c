// SPDX-License-Identifier: GPL-3.0-or-later
// A disk with its parents, and the children of a disk.
//
// A child names its parent by two paths, relative to itself and absolute, tried in that order; what is found there is
// the parent only when its UUID is the one the child keeps. A parent that was written since (its time is not the one
// the child keeps) is a warning. A parent knows nothing of its children: they are looked for in its directory.
#pragma once

#include "lib/disks/vhd/lock.hpp"
#include "lib/disks/vhd/sparse.hpp"

namespace slipway::disks::vhd {

inline constexpr std::size_t kMaxChain = 512;  // a file descriptor each

struct OpenRequest {
    OpenMode mode = OpenMode::ReadOnly;
    // Keeps others from writing it (ReadOnly) or from any use of it (ReadWrite). Parents are kept from being written.
    bool lock = true;
    Files* files = nullptr;  // nullptr: the real ones
};

struct OpenedDisk {
    std::unique_ptr<BlockDevice> disk;
    SparseDisk* sparse = nullptr;  // the disk, when it is dynamic or differencing
    Footer footer;
    bool footer_copy_used = false;
    std::vector<std::filesystem::path> parents;  // nearest first
    std::vector<std::string> warnings;
};
Result<OpenedDisk> open_chain(const std::filesystem::path& path, const OpenRequest& request);

struct FoundParent {
    std::filesystem::path path;
    bool changed = false;  // written since the child was made
};
Result<FoundParent> find_parent(Files& files, const std::filesystem::path& child, const File& file,
                                const DynamicHeader& header);
// What the parent's time is kept as: its modification time, in seconds since 2000.
Result<std::uint32_t> parent_time(const std::filesystem::path& parent);
// How a child spells its parent; errors::kVhdUnsupported for a path that UTF-16 with '\' as separator cannot spell.
Result<ParentPaths> spell_parent(const std::filesystem::path& child, const std::filesystem::path& parent);

// The differencing disks in the directory of `path` whose parent is the disk of that UUID.
std::vector<std::filesystem::path> find_children(Files& files, const std::filesystem::path& path, const Uuid& id);
// errors::kVhdHasChildren when there are any but `except`.
Status refuse_children(Files& files, const std::filesystem::path& path, const Uuid& id, std::string_view verb,
                       const std::filesystem::path& except = {});

}  // namespace slipway::disks::vhd
