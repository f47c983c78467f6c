// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/guest.hpp"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>
#include <cerrno>

#include "guest-fixup/errors.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/sha256.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

namespace fs = std::filesystem;

constexpr std::size_t kNamesInDirectory = 100'000;
constexpr int kDepth = 64;
constexpr std::size_t kShownFiles = 10;

// Who repairs once more is told now, and not when an undo is wanted.
Status tell_changed(const Journal& journal, std::vector<std::string>& notes) {
    auto changed = TRY(journal.changed_by_others());
    if (changed.empty()) return {};
    const auto count = changed.size();
    if (count > kShownFiles) changed.resize(kShownFiles);
    notes.push_back(fmt::format(
        "{} of the repaired files changed since the last repair, as a system that was started does it: {}. An undo "
        "does not go back behind that",
        count, join(changed, ", ")));
    return {};
}

}  // namespace

Result<std::string> file_digest(const fs::path& path) {
    auto fd = TRY(open_fd(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return errno_error(errno, path.string());
    return fmt::format("sha256:{} {}", TRY(digest_of(fd.get(), path.string())), info.st_size);
}

void Guest::note_change(Change change) {
    constexpr std::size_t kShown = 16u << 10;
    for (auto* text : {&change.before, &change.after})
        if (text->size() > kShown || (forget_ && !text->empty() && !text->starts_with("sha256:")))
            *text = fmt::format("sha256:{} {}", sha256(as_bytes(*text)).text(), text->size());
    journal_.push_back(std::move(change));
}

void Guest::forget_originals(bool on) {
    forget_ = on;
    if (on_disk_) on_disk_->forget_originals(on);
}

Result<Guest> Guest::open(const fs::path& root, bool dry_run) { return Guest(TRY(Tree::open(root)), dry_run); }

std::optional<fs::path> Guest::resolve(const std::string& path) const {
    look_at('e', path);
    auto fd = tree_->open_in(path, O_PATH);
    if (!fd) return std::nullopt;
    std::error_code failed;
    auto real = fs::read_symlink("/proc/self/fd/" + std::to_string(fd->get()), failed);
    if (failed) return std::nullopt;
    return real;
}

Result<UniqueFd> Guest::open_directory(const std::string& path) const {
    return tree_->open_in(path, O_PATH | O_DIRECTORY);
}

Result<std::string> Guest::digest(const std::string& path) const {
    look_at('e', path);
    const auto fd = TRY(open_regular(TRY(tree_->open_in(path, O_PATH)), path));
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return errno_error(errno, path);
    return fmt::format("sha256:{} {}", TRY(digest_of(fd.get(), path)), info.st_size);
}

Result<std::optional<std::string>> Guest::read(const std::string& path, std::uint64_t limit) const {
    look_at('r', path);
    if (auto planned = planned_.find(path); planned != planned_.end()) return planned->second;
    auto found = tree_->open_in(path, O_PATH);
    if (!found) {
        if (found.error().is(slipway::errors::kNotFound)) return std::optional<std::string>();
        return std::move(found).error();
    }
    const auto fd = TRY(open_regular(*std::move(found), path));
    struct stat info {};
    if (::fstat(fd.get(), &info) != 0) return errno_error(errno, path);
    if (static_cast<std::uint64_t>(info.st_size) > limit)
        return make_error(errors::kGuestFile, "{} in the guest has {} bytes, more than {}", path, info.st_size, limit);
    Bytes content(static_cast<std::size_t>(info.st_size));
    content.resize(TRY(pread_full(fd.get(), content, 0)));
    return std::optional(std::string(as_text(content)));
}

Result<std::optional<std::string>> Guest::read_start(const std::string& path, std::size_t bytes) const {
    look_at('e', path);
    auto found = tree_->open_in(path, O_PATH);
    if (!found) {
        if (found.error().is(slipway::errors::kNotFound)) return std::optional<std::string>();
        return std::move(found).error();
    }
    const auto fd = TRY(open_regular(*std::move(found), path));
    Bytes content(bytes);
    content.resize(TRY(pread_full(fd.get(), content, 0)));
    return std::optional(std::string(as_text(content)));
}

bool Guest::exists(const std::string& path) const {
    look_at('e', path);
    if (auto planned = planned_.find(path); planned != planned_.end()) return planned->second.has_value();
    return tree_->open_in(path, O_PATH).ok();
}

std::vector<std::string> Guest::list(const std::string& directory) const {
    look_at('l', directory);
    auto fd = tree_->open_in(directory, O_RDONLY | O_DIRECTORY);
    if (!fd) return {};
    return names_in(fd->get(), kNamesInDirectory).value_or({});
}

bool Guest::cancelled() const {
    pollfd wanted{cancel_fd_, POLLIN, 0};
    return cancel_fd_ >= 0 && ::poll(&wanted, 1, 0) > 0;
}

Status Guest::change(const std::string& what, const Place& place, const State& after,
                     const std::function<Status()>& act) {
    if (cancelled()) return make_error(errors::kCancelled, "before {}", what);
    if (!on_disk_) return act();
    const auto id = TRY(on_disk_->announce(what, place, after));
    TRY(act());
    return on_disk_->settle(id, place);
}

// Where a file of the guest is to be written: the end of its links (or the name itself), in a directory that is made.
Result<Place> Guest::make_place(const std::string& path, bool follow) {
    if (auto place = TRY(follow ? tree_->follow(path) : tree_->at(path))) return *std::move(place);
    const auto parent = parent_of(path);
    if (parent == "/") return make_error(errors::kGuestFile, "the guest's root cannot be opened");
    if (on_disk_) {  // whose directory is made with the first change: this one may lie in it
        TRY(on_disk_->start());
        if (auto place = TRY(follow ? tree_->follow(path) : tree_->at(path))) return *std::move(place);
    }
    const auto directory = TRY(make_place(parent, true));
    State after{State::Kind::Directory, 0755, 0, 0, 0, "", ""};
    TRY(change("directory", directory, after, [&] { return make_directory(directory); }));
    if (auto place = TRY(follow ? tree_->follow(path) : tree_->at(path))) return *std::move(place);
    return make_error(errors::kGuestFile, "{} in the guest is no directory", parent);
}

Status Guest::put_file(const std::string& what, const std::string& path, const std::string& content, unsigned mode) {
    if (dry_run_) {
        planned_[path] = content;
        return {};
    }
    const auto place = TRY(make_place(path, true));
    const auto old = TRY(examine(place, false));
    if (old.kind != State::Kind::File && old.kind != State::Kind::None && old.kind != State::Kind::Link)
        return make_error(errors::kGuestFile, "{} in the guest is not a regular file", path);
    State after{State::Kind::File, mode, 0, 0, content.size(), sha256(as_bytes(content)).text(), ""};
    if (old.kind == State::Kind::File) {
        after.mode = old.mode;
        after.uid = old.uid;
        after.gid = old.gid;
    }
    return change(what, place, after, [&] { return replace_file(place, as_bytes(content), mode); });
}

Status Guest::write_unrecorded(const std::string& path, const std::string& content, unsigned mode) {
    return put_file("write", path, content, mode);
}

Status Guest::write(const std::string& what, const std::string& path, const std::string& content, unsigned mode) {
    want(path);
    const auto before = TRY(read(path));
    if (before == content) return {};
    TRY_WITH(put_file(what, path, content, mode), what);
    note_change({what, path, before.value_or(""), content});
    return {};
}

Status Guest::symlink(const std::string& what, const std::string& path, const std::string& target) {
    want(path);
    look_at('k', path);
    State old;
    auto place = TRY(tree_->at(path));
    if (place) old = TRY(examine(*place, false));
    if (old.kind == State::Kind::Link && old.target == target) return {};
    if (old.kind == State::Kind::Directory)
        return make_error(errors::kGuestFile, "{} in the guest is a directory", path);
    if (dry_run_) {
        if (auto known = planned_.find(path); known != planned_.end() && known->second == target) return {};
        planned_[path] = target;
    } else {
        const auto link = TRY(make_place(path, false));
        const State after{State::Kind::Link, 0777, 0, 0, 0, "", target};
        TRY_WITH(change(what, link, after, [&] { return replace_link(link, target); }), what);
    }
    note_change({what, path, old.target, target});
    return {};
}

Status Guest::remove(const std::string& what, const std::string& path) {
    look_at('k', path);
    const auto place = TRY(tree_->at(path));
    const auto old = place ? TRY(examine(*place, false)) : State{};
    if (auto known = planned_.find(path); known != planned_.end()) {
        if (!known->second) return {};
    } else if (old.kind == State::Kind::None) {
        return {};
    }
    if (old.kind == State::Kind::Directory)
        return make_error(errors::kGuestFile, "{} in the guest is a directory", path);
    std::string before = describe(old);
    if (old.kind == State::Kind::File || planned_.contains(path))
        if (auto text = read(path)) before = text->value_or("");
    if (dry_run_) planned_[path] = std::nullopt;
    else TRY_WITH(change(what, *place, State{}, [&] { return remove_name(*place); }), what);
    note_change({what, path, before, ""});
    return {};
}

Status Guest::remove_below(const std::string& what, const Place& place, int depth, std::size_t& budget) {
    if (depth > kDepth || budget-- == 0)
        return make_error(errors::kGuestFile, "{} has too much in it to be removed", place.path);
    if (TRY(examine(place, false)).kind == State::Kind::Directory) {
        const UniqueFd directory(
            ::openat(place.directory.get(), place.name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
        if (!directory.valid()) return errno_error(errno, place.path);
        for (const auto& name : TRY(names_in(directory.get(), budget + 1)))
            TRY(remove_below(what, {UniqueFd(::dup(directory.get())), name, place.path + "/" + name}, depth + 1,
                             budget));
    }
    return change(what, place, State{}, [&] { return remove_name(place); });
}

Status Guest::remove_tree(const std::string& what, const std::string& path) {
    look_at('k', path);
    const auto place = TRY(tree_->at(path));
    if (!place || TRY(examine(*place, false)).kind == State::Kind::None) return {};
    if (dry_run_) {
        if (auto known = planned_.find(path); known != planned_.end() && !known->second) return {};
        planned_[path] = std::nullopt;
    } else {
        std::size_t budget = kNamesInDirectory;
        TRY_WITH(remove_below(what, *place, 0, budget), what);
    }
    note_change({what, path, "directory", ""});
    return {};
}

Result<std::optional<std::uint64_t>> Guest::interrupted_since() const {
    return TRY(Journal::open(*tree_, journal_base_)).interrupted_since();
}

Result<std::uint64_t> Guest::undo_since() const { return TRY(Journal::open(*tree_, journal_base_)).undo_since(); }

Status Guest::begin_repair(std::vector<std::string>& notes) {
    auto found = TRY(Journal::open(*tree_, journal_base_));
    if (dry_run_) {
        if (!found.interrupted()) return tell_changed(found, notes);
        notes.emplace_back("an earlier repair was cut short; a repair would take back what it changed first");
        return {};
    }
    on_disk_.emplace(std::move(found));
    on_disk_->forget_originals(forget_);
    TRY(on_disk_->recover(notes));
    return tell_changed(*on_disk_, notes);
}

Result<bool> Guest::take_back_unfinished(std::vector<std::string>& notes) {
    auto journal = TRY(Journal::open(*tree_, journal_base_));
    const bool undoing = journal.undoing();
    TRY(journal.recover(notes));
    return undoing;
}

Status Guest::finish_repair() { return on_disk_ ? on_disk_->finish() : Status(); }

Status Guest::roll_back(std::vector<std::string>& notes) {
    if (!on_disk_) return {};
    TRY(on_disk_->roll_back(notes));
    journal_.clear();
    return {};
}

Result<std::vector<Change>> Guest::undo(std::vector<std::string>& notes) {
    if (!dry_run_ && TRY(take_back_unfinished(notes))) return std::vector<Change>();
    auto journal = TRY(Journal::open(*tree_, journal_base_));
    if (journal.interrupted()) notes.emplace_back("an earlier repair was cut short; that is taken back as well");
    return journal.undo(dry_run_, notes);
}

}  // namespace slipway::fixup
