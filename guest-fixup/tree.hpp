// SPDX-License-Identifier: GPL-3.0-or-later
// The guest's file tree by descriptors: every name is looked up below its root (openat2 RESOLVE_IN_ROOT), and what is
// read or changed is a name in a directory held open, never a path of this host that is followed a second time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "lib/base/fd.hpp"

namespace slipway::fixup {

// What is at a name, links not followed.
struct State {
    enum class Kind { None, File, Link, Directory, Other };
    Kind kind = Kind::None;
    unsigned mode = 0, uid = 0, gid = 0;
    std::uint64_t size = 0;  // of a file
    std::string digest;      // of a file, SHA-256 in hex
    std::string target;      // of a link
    // NTFS and FAT: owner and mode are not the file's but its mount's, and others in the next one.
    bool modeless = false;
    bool operator==(const State& other) const;  // owner and mode where both have them
};
std::string_view name_of(State::Kind kind);
std::string describe(const State& state);  // "sha256:HEX SIZE", "-> TARGET", "directory", ""

// A name in a directory of the guest.
struct Place {
    UniqueFd directory;
    std::string name;
    std::string path;  // the guest's, without any link in it
};

class Tree {
public:
    static Result<Tree> open(const std::filesystem::path& root);

    // flags as open(2). The guest's links lead nowhere outside.
    Result<UniqueFd> open_in(const std::string& path, std::uint64_t flags) const;
    // Where the path leads: the end of its links, or the name itself when nothing is there; nullopt: no such directory.
    Result<std::optional<Place>> follow(const std::string& path) const;
    // The last name itself, be it a link.
    Result<std::optional<Place>> at(const std::string& path) const;
    // As at(), but no part of the path may be a link: for paths that were found before.
    Result<std::optional<Place>> exact(const std::string& path) const;
    // The path in the guest of something opened in it.
    Result<std::string> path_of(int fd) const;
    const std::filesystem::path& root() const { return root_; }  // on this host

private:
    Tree(std::filesystem::path root, UniqueFd fd) : root_(std::move(root)), fd_(std::move(fd)) {}
    Result<UniqueFd> open_how(const std::string& path, std::uint64_t flags, std::uint64_t resolve) const;
    std::filesystem::path root_;
    UniqueFd fd_;
};

inline constexpr std::uint64_t kLargestFile = 4ull << 30;  // of those that are kept or hashed
// A file that is being written has this name in its directory until it is whole.
inline constexpr const char* kPartName = ".slipway-new";

std::string parent_of(const std::string& path);
std::string leaf_of(const std::string& path);

// A regular file for reading; a device or FIFO is refused without being opened.
Result<UniqueFd> open_regular(const Place& place);
Result<UniqueFd> open_regular(UniqueFd found, const std::string& path);  // found with O_PATH
Result<State> examine(const Place& place, bool with_digest);
Result<std::string> digest_of(int fd, const std::string& path);
// Names in a directory, sorted; at most limit of them.
Result<std::vector<std::string>> names_in(int directory, std::size_t limit);

// Each leaves the old or the new at any kill, on the disk when it returns. replace_file takes owner, mode and extended
// attributes from the file that is there; else the mode is `mode` and the label the directory's.
Status replace_file(const Place& place, ByteView content, unsigned mode);
Status replace_link(const Place& place, const std::string& target);
Status remove_name(const Place& place);  // not there: done
Status make_directory(const Place& place);
// A new name gets SELinux' label and NTFS' security descriptor from its directory: ntfs-3g's own lets everybody write.
void inherit_label(int directory, const std::string& name);
Status remove_part(const Place& place);  // what a killed replace_* left

// The original of place as `name` in store: the same inode where it can be, else a copy with all its attributes.
Status keep_original(const Place& place, const State& state, int store, const std::string& name);
// Puts a kept original back.
Status restore_original(const Place& place, const State& state, int store, const std::string& name);
// The file becomes a copy of itself: a tool that writes in place does not reach the kept inode.
Status unshare_file(const Place& place);
// A directory and all in it, by a budget of names; for what a guest's tool left.
Status remove_tree(const Place& place);

}  // namespace slipway::fixup
