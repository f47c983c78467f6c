// SPDX-License-Identifier: GPL-3.0-or-later
// The guest's files, reached only below its root (openat2 RESOLVE_IN_ROOT: its symlinks never lead outside), and the
// journal of what was changed. In a dry run changes are kept in memory and seen by later reads.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "guest-fixup/fixup.hpp"
#include "lib/base/fd.hpp"

namespace slipway::fixup {

class Guest {
public:
    static Result<Guest> open(const std::filesystem::path& root, bool dry_run);

    // Paths are the guest's, "/etc/fstab". A missing file is nullopt; anything but a regular file is an error.
    Result<std::optional<std::string>> read(const std::string& path, std::uint64_t limit = 16u << 20) const;
    bool exists(const std::string& path) const;
    // Names in a directory, sorted; empty when it is missing.
    std::vector<std::string> list(const std::string& directory) const;
    // The real path on this host with all links followed inside the root; nullopt when it does not exist.
    std::optional<std::filesystem::path> resolve(const std::string& path) const;

    // Each does nothing, and notes nothing, when the file is so already. Directories are made as needed. An existing
    // file keeps owner, mode and extended attributes.
    Status write(const std::string& what, const std::string& path, const std::string& content, unsigned mode = 0644);
    Status symlink(const std::string& what, const std::string& path, const std::string& target);
    Status remove(const std::string& what, const std::string& path);
    void note_change(Change change);  // big texts as their digest
    // Not part of the journal: the journal's own file.
    Status write_unrecorded(const std::string& path, const std::string& content, unsigned mode);

    // Whether write() or symlink() was asked for this path, also where it was so already: what this repair itself
    // wants.
    bool wants(const std::string& path) const { return wanted_.contains(path); }
    void want(const std::string& path) { wanted_.insert(path); }
    // In a dry run: later reads find nothing there.
    void plan_absent(const std::string& path) { planned_[path] = std::nullopt; }
    bool planned_absent(const std::string& path) const {
        const auto planned = planned_.find(path);
        return planned != planned_.end() && !planned->second;
    }

    const std::vector<Change>& journal() const { return journal_; }
    bool dry_run() const { return dry_run_; }
    const std::filesystem::path& root() const { return root_; }

private:
    Guest(std::filesystem::path root, UniqueFd fd, bool dry_run)
        : root_(std::move(root)), fd_(std::move(fd)), dry_run_(dry_run) {}
    Result<UniqueFd> open_in_root(const std::string& path, std::uint64_t flags) const;
    Result<std::filesystem::path> place_for(const std::string& path);

    std::filesystem::path root_;
    UniqueFd fd_;
    bool dry_run_ = false;
    std::map<std::string, std::optional<std::string>> planned_;
    std::vector<Change> journal_;
    std::set<std::string> wanted_;
};

// "sha256:HEX SIZE" of a file on this host, for the journal.
Result<std::string> file_digest(const std::filesystem::path& path);

}  // namespace slipway::fixup
