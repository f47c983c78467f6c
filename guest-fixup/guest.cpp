// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/guest.hpp"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>

#include "guest-fixup/errors.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/sha256.hpp"

namespace slipway::fixup {

namespace {

namespace fs = std::filesystem;

std::string parent_of(const std::string& path) {
    const auto slash = path.find_last_of('/');
    return slash == 0 || slash == std::string::npos ? "/" : path.substr(0, slash);
}

std::string leaf_of(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

// SELinux labels, ACLs, capabilities: a rewritten file keeps them; a new one takes its directory's label.
void copy_attributes(const fs::path& from, const fs::path& to, bool only_label) {
    std::string names(65536, '\0');
    const auto length = ::llistxattr(from.c_str(), names.data(), names.size());
    if (length <= 0) return;
    for (std::size_t at = 0; at < static_cast<std::size_t>(length);
         at += std::string_view(names.c_str() + at).size() + 1) {
        const char* name = names.c_str() + at;
        if (only_label && std::string_view(name) != "security.selinux") continue;
        char value[65536];
        const auto size = ::lgetxattr(from.c_str(), name, value, sizeof value);
        if (size >= 0) (void)::lsetxattr(to.c_str(), name, value, static_cast<std::size_t>(size), 0);
    }
}

Status replace_file(const fs::path& place, const std::string& content, unsigned mode) {
    const auto part = place.parent_path() / ("." + place.filename().string() + ".slipway");
    struct stat old {};
    const bool existed = ::lstat(place.c_str(), &old) == 0;
    auto write = [&]() -> Status {
        ::unlink(part.c_str());
        auto fd = TRY(open_fd(part, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0600));
        TRY(write_full(fd.get(), as_bytes(content)));
        if (existed && ::fchown(fd.get(), old.st_uid, old.st_gid) != 0) return errno_error(errno, place.string());
        if (::fchmod(fd.get(), existed ? old.st_mode & 07777 : mode) != 0) return errno_error(errno, place.string());
        copy_attributes(existed ? place : place.parent_path(), part, !existed);
        TRY(fsync_fd(fd.get(), part.string()));
        TRY(fd.close());
        if (::rename(part.c_str(), place.c_str()) != 0) return errno_error(errno, place.string());
        return fsync_directory(place.parent_path());
    };
    auto done = write();
    if (!done) ::unlink(part.c_str());
    return done;
}

}  // namespace

Result<std::string> file_digest(const fs::path& path) {
    auto fd = TRY(open_fd(path, O_RDONLY | O_NOFOLLOW));
    Sha256 digest;
    Bytes buffer(1u << 20);
    std::uint64_t size = 0;
    for (;;) {
        const auto count = TRY(pread_full(fd.get(), buffer, size));
        digest.update(ByteView(buffer).first(count));
        size += count;
        if (count < buffer.size()) break;
    }
    return fmt::format("sha256:{} {}", digest.finish().text(), size);
}

void Guest::note_change(Change change) {
    constexpr std::size_t kShown = 16u << 10;
    for (auto* text : {&change.before, &change.after})
        if (text->size() > kShown) *text = fmt::format("sha256:{} {}", sha256(as_bytes(*text)).text(), text->size());
    journal_.push_back(std::move(change));
}

Result<Guest> Guest::open(const fs::path& root, bool dry_run) {
    auto fd = TRY(open_fd(root, O_PATH | O_DIRECTORY));
    std::error_code ignored;
    return Guest(fs::canonical(root, ignored), std::move(fd), dry_run);
}

Result<UniqueFd> Guest::open_in_root(const std::string& path, std::uint64_t flags) const {
    open_how how{};
    how.flags = flags | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
    const long fd = ::syscall(SYS_openat2, fd_.get(), path.c_str(), &how, sizeof how);
    if (fd < 0) return errno_error(errno, "the guest's " + path);
    return UniqueFd(static_cast<int>(fd));
}

std::optional<fs::path> Guest::resolve(const std::string& path) const {
    auto fd = open_in_root(path, O_PATH);
    if (!fd) return std::nullopt;
    std::error_code failed;
    auto real = fs::read_symlink("/proc/self/fd/" + std::to_string(fd->get()), failed);
    if (failed) return std::nullopt;
    return real;
}

Result<std::optional<std::string>> Guest::read(const std::string& path, std::uint64_t limit) const {
    if (auto planned = planned_.find(path); planned != planned_.end()) return planned->second;
    auto fd = open_in_root(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    if (!fd) {
        if (fd.error().is(slipway::errors::kNotFound)) return std::optional<std::string>();
        return std::move(fd).error();
    }
    struct stat info {};
    if (::fstat(fd->get(), &info) != 0) return errno_error(errno, path);
    if (!S_ISREG(info.st_mode)) return make_error(errors::kGuestFile, "{} in the guest is not a regular file", path);
    if (static_cast<std::uint64_t>(info.st_size) > limit)
        return make_error(errors::kGuestFile, "{} in the guest has {} bytes, more than {}", path, info.st_size, limit);
    Bytes content(static_cast<std::size_t>(info.st_size));
    content.resize(TRY(pread_full(fd->get(), content, 0)));
    return std::optional(std::string(as_text(content)));
}

bool Guest::exists(const std::string& path) const {
    if (auto planned = planned_.find(path); planned != planned_.end()) return planned->second.has_value();
    return open_in_root(path, O_PATH).ok();
}

std::vector<std::string> Guest::list(const std::string& directory) const {
    std::vector<std::string> names;
    auto place = resolve(directory);
    if (!place) return names;
    std::error_code failed;
    for (fs::directory_iterator entry(*place, failed), end; !failed && entry != end; entry.increment(failed))
        names.push_back(entry->path().filename().string());
    std::sort(names.begin(), names.end());
    return names;
}

// Where a file of the guest is to be written: the end of its links, or its name in its directory, which is made.
Result<fs::path> Guest::place_for(const std::string& path) {
    if (auto there = resolve(path)) return *there;
    const auto parent = parent_of(path);
    if (auto directory = resolve(parent)) return *directory / leaf_of(path);
    if (parent == "/") return make_error(errors::kGuestFile, "the guest's root cannot be opened");
    const auto place = TRY(place_for(parent));
    if (::mkdir(place.c_str(), 0755) != 0) return errno_error(errno, "the guest's " + parent);
    ::chmod(place.c_str(), 0755);
    copy_attributes(place.parent_path(), place, true);
    return place / leaf_of(path);
}

Status Guest::write_unrecorded(const std::string& path, const std::string& content, unsigned mode) {
    if (dry_run_) {
        planned_[path] = content;
        return {};
    }
    return replace_file(TRY(place_for(path)), content, mode);
}

Status Guest::write(const std::string& what, const std::string& path, const std::string& content, unsigned mode) {
    want(path);
    const auto before = TRY(read(path));
    if (before == content) return {};
    TRY_WITH(write_unrecorded(path, content, mode), what);
    note_change({what, path, before.value_or(""), content});
    return {};
}

Status Guest::symlink(const std::string& what, const std::string& path, const std::string& target) {
    want(path);
    if (!dry_run_) TRY(place_for(parent_of(path) + "/."));
    std::error_code none = std::make_error_code(std::errc::no_such_file_or_directory);
    fs::path old;
    const auto directory = resolve(parent_of(path));
    if (directory) old = fs::read_symlink(*directory / leaf_of(path), none);
    if (!none && old == target) return {};
    if (!dry_run_) {
        const auto link = *directory / leaf_of(path);
        ::unlink(link.c_str());
        if (::symlink(target.c_str(), link.c_str()) != 0) return errno_error(errno, what);
        TRY(fsync_directory(*directory));
    }
    note_change({what, path, old.string(), target});
    return {};
}

Status Guest::remove(const std::string& what, const std::string& path) {
    if (!exists(path)) return {};
    const auto before = TRY(read(path));
    if (dry_run_) planned_[path] = std::nullopt;
    else {
        const auto directory = resolve(parent_of(path));
        if (!directory || ::unlink((*directory / leaf_of(path)).c_str()) != 0) return errno_error(errno, what);
        TRY(fsync_directory(*directory));
    }
    note_change({what, path, before.value_or(""), ""});
    return {};
}

}  // namespace slipway::fixup
