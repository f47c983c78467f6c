// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/tree.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <memory>
#include <thread>

#include "guest-fixup/errors.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/sha256.hpp"

namespace slipway::fixup {

namespace {

namespace fs = std::filesystem;

Result<std::string> link_text(int directory, const std::string& name) {
    std::string text(4097, '\0');
    const auto length = ::readlinkat(directory, name.c_str(), text.data(), text.size());
    if (length < 0) return errno_error(errno, name);
    text.resize(static_cast<std::size_t>(length));
    return text;
}

Result<std::string> host_path(int fd) { return link_text(AT_FDCWD, "/proc/self/fd/" + std::to_string(fd)); }

bool plain_name(const std::string& name) { return !name.empty() && name != "." && name != ".."; }

State::Kind kind_of(mode_t mode) {
    if (S_ISREG(mode)) return State::Kind::File;
    if (S_ISLNK(mode)) return State::Kind::Link;
    return S_ISDIR(mode) ? State::Kind::Directory : State::Kind::Other;
}

// statfs(2) and include/uapi/linux/magic.h; ntfs3 and the old ntfs: their sources. Of what FUSE serves, ntfs-3g alone
// has the number of a block device; others may well keep modes.
bool keeps_no_modes(int directory, const struct stat& info) {
    constexpr unsigned long kMsdos = 0x4d44, kExfat = 0x2011bab0, kNtfs = 0x5346544e, kNtfs3 = 0x7366746e,
                            kFuse = 0x65735546;
    struct statfs system {};
    if (::fstatfs(directory, &system) != 0) return false;
    const auto type = static_cast<unsigned long>(system.f_type) & 0xffffffff;
    if (type == kFuse) return major(info.st_dev) != 0;
    return type == kMsdos || type == kExfat || type == kNtfs || type == kNtfs3;
}

}  // namespace

bool State::operator==(const State& other) const {
    const bool as_owned = modeless || other.modeless || (mode == other.mode && uid == other.uid && gid == other.gid);
    return kind == other.kind && as_owned && size == other.size && digest == other.digest && target == other.target;
}

std::string_view name_of(State::Kind kind) {
    switch (kind) {
        case State::Kind::None: return "none";
        case State::Kind::File: return "file";
        case State::Kind::Link: return "link";
        case State::Kind::Directory: return "directory";
        case State::Kind::Other: break;
    }
    return "other";
}

std::string describe(const State& state) {
    switch (state.kind) {
        case State::Kind::None: return "";
        case State::Kind::File: return fmt::format("sha256:{} {}", state.digest, state.size);
        case State::Kind::Link: return "-> " + state.target;
        default: return std::string(name_of(state.kind));
    }
}

std::string parent_of(const std::string& path) {
    const auto slash = path.find_last_of('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

std::string leaf_of(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

Result<Tree> Tree::open(const fs::path& root) {
    auto fd = TRY(open_fd(root, O_PATH | O_DIRECTORY));
    fs::path real = TRY(host_path(fd.get()));
    return Tree(std::move(real), std::move(fd));
}

Result<UniqueFd> Tree::open_how(const std::string& path, std::uint64_t flags, std::uint64_t resolve) const {
    ::open_how how{};
    how.flags = flags | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve;
    // Any rename or mount on this machine, while a ".." is followed, is EAGAIN: the kernel cannot tell whether the path
    // has left the root, and says to ask again (openat2(2)). A machine where that never ends does nothing else.
    long fd = -1;
    for (int tries = 0; tries < 10'000; ++tries) {
        fd = ::syscall(SYS_openat2, fd_.get(), path.c_str(), &how, sizeof how);
        if (fd >= 0 || errno != EAGAIN) break;
        std::this_thread::yield();
    }
    if (fd < 0) return errno_error(errno, "the guest's " + path);
    return UniqueFd(static_cast<int>(fd));
}

Result<UniqueFd> Tree::open_in(const std::string& path, std::uint64_t flags) const { return open_how(path, flags, 0); }

Result<std::string> Tree::path_of(int fd) const {
    const auto host = TRY(host_path(fd));
    const auto& root = root_.native();
    if (root == "/") return host;
    if (host == root) return std::string("/");
    if (!host.starts_with(root + "/")) return make_error(errors::kGuestFile, "{} is not below the guest's root", host);
    return host.substr(root.size());
}

Result<std::optional<Place>> Tree::exact(const std::string& path) const {
    const auto name = leaf_of(path);
    if (path.empty() || path[0] != '/' || !plain_name(name))
        return make_error(errors::kGuestFile, "'{}' names no file", path);
    auto directory = open_how(parent_of(path), O_RDONLY | O_DIRECTORY, RESOLVE_NO_SYMLINKS);
    if (directory) return std::optional(Place{*std::move(directory), name, path});
    if (directory.error().is(slipway::errors::kNotFound)) return std::optional<Place>();
    return std::move(directory).error();
}

Result<std::optional<Place>> Tree::at(const std::string& path) const {
    const auto name = leaf_of(path);
    if (!plain_name(name)) return make_error(errors::kGuestFile, "'{}' names no file", path);
    auto directory = open_in(parent_of(path), O_RDONLY | O_DIRECTORY);
    if (!directory && directory.error().is(slipway::errors::kNotFound)) return std::optional<Place>();
    auto found = TRY(std::move(directory));
    auto real = TRY(path_of(found.get()));
    return std::optional(Place{std::move(found), name, (real == "/" ? "" : real) + "/" + name});
}

Result<std::optional<Place>> Tree::follow(const std::string& path) const {
    auto found = open_in(path, O_PATH);
    if (!found && found.error().is(slipway::errors::kNotFound)) return at(path);
    const auto fd = TRY(std::move(found));
    const auto real = TRY(path_of(fd.get()));
    if (real == "/") return make_error(errors::kGuestFile, "{} is the guest's root", path);
    auto place = TRY(exact(real));
    struct stat end {
    }, name{};
    if (!place || ::fstat(fd.get(), &end) != 0 ||
        ::fstatat(place->directory.get(), place->name.c_str(), &name, AT_SYMLINK_NOFOLLOW) != 0 ||
        end.st_ino != name.st_ino || end.st_dev != name.st_dev)
        return make_error(errors::kGuestFile, "{} changes while it is looked at", path);
    return place;
}

Result<UniqueFd> open_regular(UniqueFd found, const std::string& path) {
    struct stat info {};
    if (::fstat(found.get(), &info) != 0) return errno_error(errno, path);
    if (!S_ISREG(info.st_mode)) return make_error(errors::kGuestFile, "{} in the guest is not a regular file", path);
    return open_fd(fmt::format("/proc/self/fd/{}", found.get()), O_RDONLY | O_NOCTTY);
}

Result<UniqueFd> open_regular(const Place& place) {
    UniqueFd found(::openat(place.directory.get(), place.name.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
    if (!found.valid()) return errno_error(errno, "the guest's " + place.path);
    return open_regular(std::move(found), place.path);
}

Result<std::string> digest_of(int fd, const std::string& path) {
    Sha256 digest;
    Bytes buffer(1u << 20);
    for (std::uint64_t size = 0;;) {
        const auto count = TRY(pread_full(fd, buffer, size));
        digest.update(ByteView(buffer).first(count));
        size += count;
        if (size > kLargestFile)
            return make_error(errors::kGuestFile, "{} in the guest has more than {} bytes", path, kLargestFile);
        if (count < buffer.size()) return digest.finish().text();
    }
}

Result<State> examine(const Place& place, bool with_digest) {
    struct stat info {};
    if (::fstatat(place.directory.get(), place.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
        if (errno == ENOENT) return State{};
        return errno_error(errno, "the guest's " + place.path);
    }
    State state{kind_of(info.st_mode), info.st_mode & 07777, info.st_uid, info.st_gid, 0, "", ""};
    state.modeless = keeps_no_modes(place.directory.get(), info);
    if (state.kind == State::Kind::Link) state.target = TRY(link_text(place.directory.get(), place.name));
    if (state.kind != State::Kind::File) return state;
    state.size = static_cast<std::uint64_t>(info.st_size);
    if (state.size > kLargestFile)
        return make_error(errors::kGuestFile, "{} in the guest has {} bytes, more than {}", place.path, state.size,
                          kLargestFile);
    if (with_digest) state.digest = TRY(digest_of(TRY(open_regular(place)).get(), place.path));
    return state;
}

Result<std::vector<std::string>> names_in(int directory, std::size_t limit) {
    // A descriptor of its own: the position is shared by duplicates.
    UniqueFd own(::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!own.valid()) return errno_error(errno, "a directory of the guest");
    std::unique_ptr<DIR, int (*)(DIR*)> stream(::fdopendir(own.get()), ::closedir);
    if (!stream) return errno_error(errno, "a directory of the guest");
    (void)own.release();
    std::vector<std::string> names;
    errno = 0;
    while (const auto* entry = ::readdir(stream.get())) {
        if (!plain_name(entry->d_name)) continue;
        if (names.size() >= limit)
            return make_error(errors::kGuestFile, "a directory of the guest has more than {} names", limit);
        names.emplace_back(entry->d_name);
    }
    if (errno != 0) return errno_error(errno, "a directory of the guest");
    std::sort(names.begin(), names.end());
    return names;
}

}  // namespace slipway::fixup
