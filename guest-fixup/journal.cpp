// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/journal.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <map>
#include <set>

#include "guest-fixup/errors.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr const char* kScratchName = "tmp";
constexpr std::size_t kMostKept = 1u << 20;

// A directory of ours in one of the guest's; invalid when it is not there.
Result<UniqueFd> open_own(int parent, const char* name, const std::string& where) {
    UniqueFd fd(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (fd.valid()) return fd;
    if (errno == ENOENT) return UniqueFd();
    return make_error(errors::kJournal, "{}/{}: {}", where, name, std::strerror(errno));
}

Result<UniqueFd> make_own(int parent, const char* name, unsigned mode, const std::string& where) {
    if (::mkdirat(parent, name, mode) == 0) {
        inherit_label(parent, name);
        TRY(fsync_fd(parent, where));
    } else if (errno != EEXIST) {
        return errno_error(errno, where);
    }
    auto fd = TRY(open_own(parent, name, where));
    if (!fd.valid()) return make_error(errors::kJournal, "{} vanishes", where);
    return fd;
}

// What everyone in the guest may write says nothing about what we did.
Status check_owner(int fd, const std::string& where) {
    struct stat info {};
    if (::fstat(fd, &info) != 0) return errno_error(errno, where);
    if (info.st_uid != 0 || (info.st_mode & 022) != 0)
        return make_error(errors::kJournal, "others than root may write it");
    return {};
}

}  // namespace

Result<Journal> Journal::open(const Tree& tree, std::string base) {
    Journal journal(tree, std::move(base));
    TRY_WITH(journal.load(), "the guest's repair journal");
    return journal;
}

Status Journal::load() {
    auto base = tree_->open_in(base_, O_RDONLY | O_DIRECTORY);
    if (!base) {
        if (base.error().is(slipway::errors::kNotFound)) return {};
        return std::move(base).error();
    }
    const auto ours = TRY(open_own(base->get(), "slipway", where_));
    if (!ours.valid()) return {};
    directory_ = TRY(open_own(ours.get(), "repair", where_));
    if (!directory_.valid()) return {};
    TRY(check_owner(directory_.get(), where_));
    kept_ = TRY(open_own(directory_.get(), "kept", where_));
    const Place place{UniqueFd(::dup(directory_.get())), kJournalName, where_ + "/" + kJournalName};
    const auto state = TRY(examine(place, false));
    if (state.kind == State::Kind::None) return {};
    const auto fd = TRY(open_regular(place));
    TRY(check_owner(fd.get(), where_));
    if (state.size > kJournalLimit) return make_error(errors::kJournal, "it has {} bytes", state.size);
    Bytes bytes(state.size);
    bytes.resize(TRY(pread_full(fd.get(), bytes, 0)));
    text_ = TRY(parse_journal(as_text(bytes)));
    length_ = bytes.size();
    return {};
}

std::optional<std::uint64_t> Journal::interrupted_since() const {
    if (!interrupted()) return std::nullopt;
    const auto from = text_.undoing ? text_.undo_from : text_.runs.size() - 1;
    return from == 0 ? 0 : text_.runs[from].number;
}

Result<UniqueFd> Journal::make_base() {
    for (auto slash = base_.find('/', 1);; slash = base_.find('/', slash + 1)) {
        const auto path = base_.substr(0, slash);
        auto there = tree_->open_in(path, O_PATH | O_DIRECTORY);
        if (!there && there.error().is(slipway::errors::kNotFound))
            if (const auto place = TRY(tree_->at(path))) TRY(make_directory(*place));
        if (slash == std::string::npos) break;
    }
    return tree_->open_in(base_, O_RDONLY | O_DIRECTORY);
}

Status Journal::start() {
    if (started_) return {};
    const auto base = TRY(make_base());
    const auto ours = TRY(make_own(base.get(), "slipway", 0755, where_));
    directory_ = TRY(make_own(ours.get(), "repair", 0700, where_));
    kept_ = TRY(make_own(directory_.get(), "kept", 0700, where_));
    TRY(check_owner(directory_.get(), where_));
    const auto scratch = TRY(make_own(directory_.get(), kScratchName, 0700, where_));
    if (::fchmod(scratch.get(), 01777) != 0) return errno_error(errno, where_);
    file_ = UniqueFd(::openat(directory_.get(), kJournalName,
                              O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
    if (!file_.valid()) return errno_error(errno, where_);
    if (text_.whole == 0) inherit_label(directory_.get(), kJournalName);
    // A last line that was cut short.
    if (::ftruncate(file_.get(), static_cast<off_t>(text_.whole)) != 0) return errno_error(errno, where_);
    length_ = text_.whole;
    TRY(fsync_fd(directory_.get(), where_));
    TRY(drop_kept());
    const auto number = ++text_.last_run;
    if (text_.whole == 0) {
        TRY(append(std::string(kJournalHead)));
        text_.whole = kJournalHead.size();
    }
    TRY(append(run_line(number)));
    text_.runs.push_back({.number = number, .start = text_.whole});
    started_ = true;
    return {};
}

Status Journal::append(const std::string& lines) {
    auto written = write_full(file_.get(), as_bytes(lines));
    if (written) written = fsync_fd(file_.get(), where_);
    if (!written) {
        // Half a line with others behind it would be a damaged journal.
        (void)!::ftruncate(file_.get(), static_cast<off_t>(length_));
        return std::move(written).with("the guest's repair journal");
    }
    length_ += lines.size();
    return {};
}

bool Journal::first_in_run(const std::string& path) {
    return std::none_of(run().changes.begin(), run().changes.end(), [&](const auto& c) { return c.path == path; });
}

Result<std::uint64_t> Journal::announce(const std::string& what, const Place& place,
                                        const std::optional<State>& after) {
    TRY(start());
    JournalChange change{text_.last_id + 1, what, place.path, TRY(examine(place, true)), after, !after, forget_};
    // Of a file that changes twice only the first is ever put back, or the one before a tool that may fail.
    if (change.tool || first_in_run(place.path)) {
        TRY(keep_original(place, change.before, kept_.get(), std::to_string(change.id)));
        TRY(fsync_fd(kept_.get(), where_));
    }
    TRY(append(change_line(change)));
    text_.last_id = change.id;
    run().changes.push_back(std::move(change));
    return text_.last_id;
}

Status Journal::settle(std::uint64_t id, const Place& place) {
    auto change = std::find_if(run().changes.begin(), run().changes.end(), [&](const auto& c) { return c.id == id; });
    if (change == run().changes.end()) return {};
    auto now = TRY(examine(place, change->tool));
    if (!change->tool && now.kind == State::Kind::File && change->after) now.digest = change->after->digest;
    return settle(id, std::move(now));
}

Status Journal::settle(std::uint64_t id, State now) {
    auto change = std::find_if(run().changes.begin(), run().changes.end(), [&](const auto& c) { return c.id == id; });
    if (change == run().changes.end() || change->after == now) return {};
    TRY(append(after_line(id, now)));
    change->after = std::move(now);
    return {};
}

Status Journal::watch(const std::string& path, std::vector<std::string> names) {
    TRY(start());
    JournalWatch watched{text_.last_id + 1, path, std::move(names)};
    TRY(append(watch_line(watched)));
    text_.last_id = watched.id;
    run().watches.push_back(std::move(watched));
    return {};
}

Status Journal::found(const std::string& what, const Place& place) {
    TRY(start());
    JournalChange change{text_.last_id + 1, what, place.path, {}, TRY(examine(place, true)), true, forget_};
    TRY(append(change_line(change)));
    text_.last_id = change.id;
    run().changes.push_back(std::move(change));
    return {};
}

Status Journal::finish() {
    if (!started_) return {};
    TRY(drop_scratch());
    TRY(append(end_line(run().number)));
    run().finished = true;
    text_.whole = length_;
    started_ = false;
    return drop_kept();
}

// Temporary files of the guest's tools (sandbox.cpp).
Status Journal::drop_scratch() {
    return remove_tree({UniqueFd(::dup(directory_.get())), kScratchName, fmt::format("{}/{}", where_, kScratchName)});
}

// What was kept and belongs to no change that is to be undone.
Status Journal::drop_kept() {
    if (!kept_.valid()) return {};
    std::map<std::string, std::vector<std::string>> by_path;
    for (const auto& run : text_.runs)
        for (const auto& change : run.changes) {
            auto& ids = by_path[change.path];
            if (change.forget && run.finished) ids.clear();  // of earlier repairs as well
            else ids.push_back(std::to_string(change.id));
        }
    std::set<std::string> wanted;
    for (const auto& [path, ids] : by_path) wanted.insert(ids.begin(), ids.end());
    for (const auto& name : TRY(names_in(kept_.get(), kMostKept)))
        if (!wanted.contains(name)) TRY(remove_tree({UniqueFd(::dup(kept_.get())), name, where_ + "/kept/" + name}));
    return {};
}

Status Journal::drop_unfinished() {
    if (!file_.valid())
        file_ = UniqueFd(::openat(directory_.get(), kJournalName, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC));
    if (!file_.valid()) return errno_error(errno, where_);
    if (text_.runs.size() == 1) return drop_all();
    if (::ftruncate(file_.get(), static_cast<off_t>(text_.whole)) != 0) return errno_error(errno, where_);
    TRY(fsync_fd(file_.get(), where_));
    length_ = text_.whole;
    text_.runs.pop_back();
    started_ = false;
    TRY(drop_scratch());
    return drop_kept();
}

// From that run on, as if they had not been: what they changed is as it was.
Status Journal::drop_runs(std::size_t from) {
    if (from == 0) return drop_all();
    const auto start = text_.runs[from].start;
    if (!file_.valid())
        file_ = UniqueFd(::openat(directory_.get(), kJournalName, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC));
    if (!file_.valid() || ::ftruncate(file_.get(), static_cast<off_t>(start)) != 0) return errno_error(errno, where_);
    TRY(fsync_fd(file_.get(), where_));
    length_ = text_.whole = start;
    text_.runs.resize(from);
    text_.undoing = false;
    text_.undo_from = 0;
    return drop_kept();
}

// The journal goes first: what is kept means nothing without it.
Status Journal::drop_all() {
    file_.reset();
    auto found = tree_->open_in(base_, O_RDONLY | O_DIRECTORY);
    if (!found && found.error().is(slipway::errors::kNotFound)) return {};
    const auto base = TRY(std::move(found));
    const auto ours = TRY(open_own(base.get(), "slipway", where_));
    if (!ours.valid()) return {};
    if (directory_.valid() && ::unlinkat(directory_.get(), kJournalName, 0) != 0 && errno != ENOENT)
        return errno_error(errno, where_);
    if (directory_.valid()) TRY(fsync_fd(directory_.get(), where_));
    kept_.reset();
    directory_.reset();
    text_ = {};
    length_ = 0;
    started_ = false;
    TRY(remove_tree({UniqueFd(::dup(ours.get())), "repair", where_}));
    if (::unlinkat(base.get(), "slipway", AT_REMOVEDIR) != 0 && errno != ENOTEMPTY && errno != ENOENT)
        return errno_error(errno, base_ + "/slipway");
    return fsync_fd(base.get(), base_);
}

std::optional<std::string> Journal::read_note(const std::string& name) const {
    if (!directory_.valid()) return std::nullopt;
    const Place place{UniqueFd(::dup(directory_.get())), name, where_ + "/" + name};
    auto fd = open_regular(place);
    if (!fd) return std::nullopt;
    Bytes bytes(8u << 20);
    auto count = pread_full(fd->get(), bytes, 0);
    if (!count || *count == bytes.size()) return std::nullopt;
    return std::string(as_text(ByteView(bytes).first(*count)));
}

Status Journal::write_note(const std::string& name, const std::string& content) {
    return replace_file({UniqueFd(::dup(directory_.get())), name, where_ + "/" + name}, as_bytes(content), 0600);
}

}  // namespace slipway::fixup
