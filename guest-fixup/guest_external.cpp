// SPDX-License-Identifier: GPL-3.0-or-later
// What the guest's own programs change, in the journal like our own changes.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/guest.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr std::uint64_t kSmall = 1u << 20;
constexpr std::size_t kNamesWatched = 4096;

// Tells a file that was not touched, without reading it.
std::string stamp(int directory, const std::string& name) {
    struct stat s {};
    if (::fstatat(directory, name.c_str(), &s, AT_SYMLINK_NOFOLLOW) != 0) return "";
    return fmt::format("{} {} {} {}.{} {}.{}", s.st_mode, s.st_ino, s.st_size, s.st_mtim.tv_sec, s.st_mtim.tv_nsec,
                       s.st_ctim.tv_sec, s.st_ctim.tv_nsec);
}

// Keeping the old and making a new one of about that size. What a tool needs beyond that nobody can know.
Status check_space(const Place& place, std::uint64_t wanted) {
    struct statvfs info {};
    if (::fstatvfs(place.directory.get(), &info) != 0) return errno_error(errno, place.path);
    const auto free = static_cast<std::uint64_t>(info.f_bfree) * info.f_frsize;
    if (free >= wanted) return {};
    return make_error(errors::kGuestFull, "{} needs {} more, its file system has {}", place.path, human_bytes(wanted),
                      human_bytes(free));
}

}  // namespace

Status Guest::keep_for_tool(External& external, const std::string& shown, const Place& place, bool listed) {
    const auto now = TRY(examine(place, false));
    if (now.kind == State::Kind::Directory)
        return make_error(errors::kGuestFile, "{} in the guest is a directory", shown);
    const auto id = TRY(on_disk_->announce(external.what, place, std::nullopt));
    external.files.push_back({shown, place.path, id, on_disk_->before_last()});
    struct stat info {};
    if (::fstatat(place.directory.get(), place.name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) return {};  // a new file
    // The kept name is another one of the same inode, unless it had to be a copy.
    const bool shared = S_ISREG(info.st_mode) && info.st_nlink > 1;
    if (listed) TRY(check_space(place, now.size * (shared ? 2 : 1)));
    return shared ? unshare_file(place) : Status();
}

Status Guest::watch_for_tool(External& external, const std::string& directory) {
    const auto place = TRY(tree_->follow(directory + "/" + kPartName));
    if (!place) return {};
    External::Directory watched{parent_of(place->path), {}};
    const auto names = TRY(names_in(place->directory.get(), kNamesWatched));
    TRY(on_disk_->watch(watched.path, names));
    for (const auto& name : names) {
        const Place entry{UniqueFd(::dup(place->directory.get())), name, watched.path + "/" + name};
        const bool listed = std::any_of(external.files.begin(), external.files.end(),
                                        [&](const auto& f) { return f.path == entry.path; });
        const auto state = TRY(examine(entry, false));
        const bool small = state.kind == State::Kind::Link || (state.kind == State::Kind::File && state.size <= kSmall);
        if (small && !listed) TRY(keep_for_tool(external, entry.path, entry, false));
        watched.seen[name] = stamp(place->directory.get(), name);
    }
    external.directories.push_back(std::move(watched));
    return {};
}

Result<External> Guest::begin_external(std::string what, const std::vector<std::string>& files,
                                       const std::vector<std::string>& directories) {
    External external{std::move(what), {}, {}};
    if (cancelled()) return make_error(errors::kCancelled, "before {}", external.what);
    for (const auto& path : files) look_at('e', path);
    if (dry_run_ || !on_disk_) return external;
    for (const auto& path : files) {
        const auto place = TRY(make_place(path, true));
        if (std::none_of(external.files.begin(), external.files.end(), [&](auto& f) { return f.path == place.path; }))
            TRY(keep_for_tool(external, path, place, true));
    }
    for (const auto& path : directories) TRY(watch_for_tool(external, path));
    return external;
}

Status Guest::found_below(const std::string& what, const Place& place, int depth, std::size_t& budget) {
    if (depth > 32 || budget-- == 0)
        return make_error(errors::kGuestFile, "a tool of the guest made too many files in {}", place.path);
    TRY(on_disk_->found(what, place));
    if (TRY(examine(place, false)).kind != State::Kind::Directory) return {};
    const UniqueFd inner(
        ::openat(place.directory.get(), place.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!inner.valid()) return errno_error(errno, place.path);
    for (const auto& name : TRY(names_in(inner.get(), budget + 1)))
        TRY(found_below(what, {UniqueFd(::dup(inner.get())), name, place.path + "/" + name}, depth + 1, budget));
    return {};
}

Status Guest::commit_directory(const External& external, const External::Directory& directory) {
    const auto place = TRY(tree_->exact(directory.path + "/" + kPartName));
    if (!place) return {};
    std::size_t budget = kNamesWatched;
    for (const auto& name : TRY(names_in(place->directory.get(), kNamesWatched * 2))) {
        const Place entry{UniqueFd(::dup(place->directory.get())), name, directory.path + "/" + name};
        if (std::any_of(external.files.begin(), external.files.end(),
                        [&](const auto& f) { return f.path == entry.path; }))
            continue;
        const auto seen = directory.seen.find(name);
        const bool is_new = seen == directory.seen.end();
        if (is_new) TRY(found_below(external.what, entry, 0, budget));
        const auto state = TRY(examine(entry, is_new));
        if (is_new) note_change({external.what, entry.path, "", describe(state)});
        else if (state.kind == State::Kind::File && seen->second != stamp(place->directory.get(), name))
            note_change({external.what + ": changed, and too big to be kept for an undo", entry.path, "",
                         TRY(digest(entry.path))});
    }
    return {};
}

Status Guest::commit_external(const External& external) {
    if (!on_disk_) return {};
    for (const auto& file : external.files) {
        const auto place = TRY(tree_->exact(file.path));
        if (!place) return make_error(errors::kGuestFile, "the directory of {} is gone", file.shown);
        // A tool does not wait until its file is on the disk.
        const auto now = TRY(examine(*place, true));
        if (now.kind == State::Kind::File) TRY(fsync_fd(TRY(open_regular(*place)).get(), file.path));
        if (now == file.before) {
            TRY(on_disk_->put_back(file.id));
            continue;
        }
        TRY(fsync_fd(place->directory.get(), file.path));
        TRY(on_disk_->settle(file.id, now));
        note_change({external.what, file.shown, describe(file.before), describe(now)});
    }
    for (const auto& directory : external.directories) TRY(commit_directory(external, directory));
    return {};
}

Status Guest::abandon_external(const External& external) {
    if (!on_disk_) return {};
    for (const auto& file : external.files) TRY(on_disk_->put_back(file.id));
    for (const auto& directory : external.directories) {
        const auto place = TRY(tree_->exact(directory.path + "/" + kPartName));
        if (!place) continue;
        for (const auto& name : TRY(names_in(place->directory.get(), kNamesWatched * 2)))
            if (!directory.seen.contains(name))
                TRY(slipway::fixup::remove_tree(
                    {UniqueFd(::dup(place->directory.get())), name, directory.path + "/" + name}));
    }
    return {};
}

}  // namespace slipway::fixup
