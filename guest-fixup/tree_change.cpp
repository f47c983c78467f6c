// SPDX-License-Identifier: GPL-3.0-or-later
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <cerrno>

#include "guest-fixup/dos_attributes.hpp"
#include "guest-fixup/errors.hpp"
#include "guest-fixup/tree.hpp"
#include "lib/base/errors.hpp"

namespace slipway::fixup {

namespace {

// The name itself, by a path that no link of the guest can bend: the directory is one that is held open.
std::string held(int directory, const std::string& name) { return fmt::format("/proc/self/fd/{}/{}", directory, name); }

Error failed(const Place& place) { return errno_error(errno, "the guest's " + place.path); }

// NTFS' security descriptor, which ntfs-3g and the kernel's ntfs3 give by these names and do not list. A new file gets
// the one of its directory: without one everybody may write to it.
void copy_descriptor(const std::string& from, const std::string& to) {
    std::string value(65536, '\0');
    for (const char* name : {"system.ntfs_acl", "system.ntfs_security"}) {
        const auto size = ::lgetxattr(from.c_str(), name, value.data(), value.size());
        if (size > 0) (void)::lsetxattr(to.c_str(), name, value.data(), static_cast<std::size_t>(size), 0);
    }
}

// SELinux labels, ACLs, capabilities, hidden and system. What the file system does not know (another root's tmpfs) is
// left out.
void copy_attributes(const std::string& from, const std::string& to, bool only_label) {
    copy_descriptor(from, to);
    if (!only_label) copy_dos_attributes(from, to);
    std::string names(65536, '\0');
    const auto length = ::llistxattr(from.c_str(), names.data(), names.size());
    if (length <= 0) return;
    std::string value(65536, '\0');
    for (std::size_t at = 0; at < static_cast<std::size_t>(length);
         at += std::string_view(names.c_str() + at).size() + 1) {
        const char* name = names.c_str() + at;
        if (only_label && std::string_view(name) != "security.selinux") continue;
        const auto size = ::lgetxattr(from.c_str(), name, value.data(), value.size());
        if (size >= 0) (void)::lsetxattr(to.c_str(), name, value.data(), static_cast<std::size_t>(size), 0);
    }
}

// A default ACL of the directory is not what the original had.
void drop_attributes(const std::string& path) {
    std::string names(65536, '\0');
    const auto length = ::llistxattr(path.c_str(), names.data(), names.size());
    for (std::size_t at = 0; length > 0 && at < static_cast<std::size_t>(length);
         at += std::string_view(names.c_str() + at).size() + 1)
        (void)::lremovexattr(path.c_str(), names.c_str() + at);
}

Status copy_content(int in, int out) {
    if (::ioctl(out, FICLONE, in) == 0) return {};
    Bytes buffer(1u << 20);
    for (std::uint64_t at = 0;;) {
        const auto count = TRY(pread_full(in, buffer, at));
        TRY(write_full(out, ByteView(buffer).first(count)));
        at += count;
        if (count < buffer.size()) return {};
    }
}

Status own(int fd, const State& state) {
    struct stat now {};
    if (::fstat(fd, &now) != 0) return errno_error(errno, "a new file");
    if ((now.st_uid != state.uid || now.st_gid != state.gid) && ::fchown(fd, state.uid, state.gid) != 0)
        return errno_error(errno, "the owner of a new file");
    if (::fchmod(fd, state.mode) != 0) return errno_error(errno, "the mode of a new file");
    return {};
}

Status sync_directory(const Place& place) { return fsync_fd(place.directory.get(), "the guest's " + place.path); }

Status put_in_place(const Place& place) {
    const int d = place.directory.get();
    if (::renameat(d, kPartName, d, place.name.c_str()) != 0) return failed(place);
    // Two links to one file: rename(2) did nothing and left both.
    if (::unlinkat(d, kPartName, 0) != 0 && errno != ENOENT) return failed(place);
    return sync_directory(place);
}

// Copies `from` (a file, a link, an empty directory) to a new name with all its attributes.
Status copy_name(int from_directory, const std::string& from, int to_directory, const std::string& to,
                 const State& state) {
    if (state.kind == State::Kind::Link) {
        if (::symlinkat(state.target.c_str(), to_directory, to.c_str()) != 0 ||
            ::fchownat(to_directory, to.c_str(), state.uid, state.gid, AT_SYMLINK_NOFOLLOW) != 0)
            return errno_error(errno, to);
        copy_attributes(held(from_directory, from), held(to_directory, to), false);
        return {};
    }
    UniqueFd out;
    if (state.kind == State::Kind::Directory) {
        if (::mkdirat(to_directory, to.c_str(), 0700) != 0 && errno != EEXIST) return errno_error(errno, to);
        out = UniqueFd(::openat(to_directory, to.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    } else {
        out = UniqueFd(::openat(to_directory, to.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    }
    if (!out.valid()) return errno_error(errno, to);
    struct stat old {};
    if (::fstatat(from_directory, from.c_str(), &old, AT_SYMLINK_NOFOLLOW) != 0) return errno_error(errno, from);
    if (state.kind == State::Kind::File) {
        UniqueFd in(::openat(from_directory, from.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
        if (!in.valid()) return errno_error(errno, from);
        TRY(copy_content(in.get(), out.get()));
    }
    TRY(own(out.get(), state));
    drop_attributes(held(to_directory, to));
    copy_attributes(held(from_directory, from), held(to_directory, to), false);
    const timespec times[2] = {old.st_atim, old.st_mtim};
    (void)::futimens(out.get(), times);
    return fsync_fd(out.get(), to);
}

Status remove_below(int directory, const std::string& name, int depth, std::size_t& budget) {
    if (budget-- == 0 || depth > 64) return make_error(errors::kGuestFile, "'{}' has too much in it to remove", name);
    if (::unlinkat(directory, name.c_str(), 0) == 0 || errno == ENOENT) return {};
    if (errno != EISDIR && errno != EPERM) return errno_error(errno, name);
    UniqueFd fd(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!fd.valid()) return errno_error(errno, name);
    for (const auto& inner : TRY(names_in(fd.get(), budget + 1))) TRY(remove_below(fd.get(), inner, depth + 1, budget));
    if (::unlinkat(directory, name.c_str(), AT_REMOVEDIR) != 0) return errno_error(errno, name);
    return {};
}

}  // namespace

void inherit_label(int directory, const std::string& name) {
    copy_attributes(held(directory, "."), held(directory, name), true);
}

Status remove_part(const Place& place) {
    if (::unlinkat(place.directory.get(), kPartName, 0) != 0 && errno != ENOENT) return failed(place);
    return {};
}

Status replace_file(const Place& place, ByteView content, unsigned mode) {
    const int d = place.directory.get();
    const auto old = TRY(examine(place, false));
    auto write = [&]() -> Status {
        TRY(remove_part(place));
        UniqueFd fd(::openat(d, kPartName, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
        if (!fd.valid()) return failed(place);
        TRY_WITH(write_full(fd.get(), content), "the guest's " + place.path);
        const bool existed = old.kind == State::Kind::File;
        if (existed) TRY(own(fd.get(), old));
        else if (::fchmod(fd.get(), mode) != 0) return failed(place);
        copy_attributes(existed ? held(d, place.name) : held(d, "."), held(d, kPartName), !existed);
        TRY(fsync_fd(fd.get(), place.path));
        TRY(fd.close());
        return put_in_place(place);
    };
    auto done = write();
    if (!done) ::unlinkat(d, kPartName, 0);
    return done;
}

Status replace_link(const Place& place, const std::string& target) {
    const int d = place.directory.get();
    TRY(remove_part(place));
    if (::symlinkat(target.c_str(), d, kPartName) != 0) return failed(place);
    inherit_label(d, kPartName);
    auto done = put_in_place(place);
    if (!done) ::unlinkat(d, kPartName, 0);
    return done;
}

Status remove_name(const Place& place) {
    const int d = place.directory.get();
    if (::unlinkat(d, place.name.c_str(), 0) != 0) {
        if (errno == ENOENT) return {};
        if ((errno != EISDIR && errno != EPERM) || ::unlinkat(d, place.name.c_str(), AT_REMOVEDIR) != 0)
            return failed(place);
    }
    return sync_directory(place);
}

Status make_directory(const Place& place) {
    const int d = place.directory.get();
    if (::mkdirat(d, place.name.c_str(), 0755) != 0) return failed(place);
    UniqueFd made(::openat(d, place.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!made.valid() || ::fchmod(made.get(), 0755) != 0) return failed(place);
    inherit_label(d, place.name);
    TRY(fsync_fd(made.get(), place.path));
    return sync_directory(place);
}

Status keep_original(const Place& place, const State& state, int store, const std::string& name) {
    if (state.kind == State::Kind::None) return {};
    if (::unlinkat(store, name.c_str(), 0) != 0 && errno != ENOENT) return errno_error(errno, "kept/" + name);
    if (state.kind != State::Kind::Directory &&
        ::linkat(place.directory.get(), place.name.c_str(), store, name.c_str(), 0) == 0)
        return {};
    if (state.kind == State::Kind::Other)
        return make_error(errors::kGuestFile, "{} in the guest is not a file that can be kept", place.path);
    // Another file system, or one without links (FAT).
    auto copied = copy_name(place.directory.get(), place.name, store, name, state);
    if (!copied) ::unlinkat(store, name.c_str(), 0);
    return std::move(copied).with("keeping the guest's " + place.path);
}

Status restore_original(const Place& place, const State& state, int store, const std::string& name) {
    const int d = place.directory.get();
    if (state.kind == State::Kind::None) return remove_name(place);
    if (state.kind == State::Kind::Directory) {
        TRY(copy_name(store, name, d, place.name, state));
        return sync_directory(place);
    }
    TRY(remove_part(place));
    if (::linkat(store, name.c_str(), d, kPartName, 0) == 0) return put_in_place(place);
    // No block for one more name: the original itself goes back. Who comes here again finds it in its place.
    if (errno == ENOSPC && ::renameat(store, name.c_str(), d, place.name.c_str()) == 0) return sync_directory(place);
    auto copied = copy_name(store, name, d, kPartName, state);
    if (!copied && copied.error().is(slipway::errors::kNoSpace)) {
        // What is there now is of no more use, and its place is needed. The original is still kept.
        TRY(remove_part(place));
        TRY(remove_name(place));
        copied = copy_name(store, name, d, kPartName, state);
    }
    TRY_WITH(std::move(copied), "putting back the guest's " + place.path);
    return put_in_place(place);
}

Status unshare_file(const Place& place) {
    const auto state = TRY(examine(place, false));
    if (state.kind != State::Kind::File) return {};
    TRY(remove_part(place));
    auto copied = copy_name(place.directory.get(), place.name, place.directory.get(), kPartName, state);
    if (!copied) {
        ::unlinkat(place.directory.get(), kPartName, 0);
        return std::move(copied).with("copying the guest's " + place.path);
    }
    return put_in_place(place);
}

Status remove_tree(const Place& place) {
    std::size_t budget = 100'000;
    TRY_WITH(remove_below(place.directory.get(), place.name, 0, budget), "the guest's " + place.path);
    return sync_directory(place);
}

}  // namespace slipway::fixup
