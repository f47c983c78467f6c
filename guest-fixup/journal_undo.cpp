// SPDX-License-Identifier: GPL-3.0-or-later
// Taking changes back: of a run that was cut short or failed, and of finished ones. Each path goes straight to what it
// was first, so doing it again after a kill ends the same.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <map>
#include <set>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/journal.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

constexpr std::size_t kNamesInWatched = 100'000, kNamed = 10;

// A directory is the same whatever was done to its mode: what is in it has its own changes.
bool same(const State& a, const State& b) {
    return a == b || (a.kind == State::Kind::Directory && b.kind == State::Kind::Directory);
}

bool knows(const std::vector<State>& known, const State& state) {
    return std::any_of(known.begin(), known.end(), [&](const State& s) { return same(s, state); });
}

// Whether others wrote something: owner and mode alone are also set by steps of ours behind a change (the key file of a
// user).
bool knows_content(const std::vector<State>& known, const State& state) {
    return std::any_of(known.begin(), known.end(), [&](const State& s) {
        return s.kind == state.kind && s.digest == state.digest && s.target == state.target;
    });
}

bool same_inode(const Place& place, int store, const std::string& name) {
    struct stat a {
    }, b{};
    return ::fstatat(place.directory.get(), place.name.c_str(), &a, AT_SYMLINK_NOFOLLOW) == 0 &&
           ::fstatat(store, name.c_str(), &b, AT_SYMLINK_NOFOLLOW) == 0 && a.st_ino == b.st_ino && a.st_dev == b.st_dev;
}

bool missing_in(int store, const std::string& name) {
    struct stat info {};
    return ::fstatat(store, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0 && errno == ENOENT;
}

}  // namespace

std::vector<Journal::Original> Journal::originals(const std::vector<JournalRun>& runs, std::size_t from) {
    std::map<std::string, Original> by_path;
    for (std::size_t i = from; i < runs.size(); ++i)
        for (const auto& change : runs[i].changes) {
            if (change.forget && runs[i].finished) {
                by_path.erase(change.path);
                continue;
            }
            auto [entry, first] = by_path.try_emplace(change.path);
            auto& original = entry->second;
            if (first)
                original = {change.what, change.path, change.id, change.before, {}, {change.before}, false, i, 0};
            else if (original.run != i && !original.by_tool && !knows_content(original.known, change.before))
                original.barrier = i;
            original.run = i;
            original.latest = change.after.value_or(State{});
            original.by_tool = !change.after;
            original.known.push_back(change.before);
            if (change.after) original.known.push_back(*change.after);
        }
    std::vector<Original> out;
    for (auto& [path, original] : by_path) out.push_back(std::move(original));
    // Backwards: a directory that was made goes after what was made in it.
    std::sort(out.begin(), out.end(), [](const auto& a, const auto& b) { return a.id > b.id; });
    return out;
}

// Of finished runs. What a tool was given and left alone is not ours to put back.
std::vector<Journal::Original> Journal::changed_originals(std::size_t from) const {
    auto all = originals(text_.runs, from);
    std::erase_if(all, [](const auto& o) { return !o.by_tool && o.latest == o.state; });
    return all;
}

Result<State> Journal::state_now(const std::string& path) const {
    const auto place = TRY(tree_->exact(path));
    if (!place) return State{};
    return examine(*place, true);
}

// A kept file that was damaged, or a journal that was made up, puts nothing back.
Status Journal::check_kept(const Original& original) const {
    const auto name = std::to_string(original.id);
    if (original.state.kind == State::Kind::None) return {};
    if (!kept_.valid() || missing_in(kept_.get(), name))
        return make_error(errors::kJournal, "the original of {} is not kept any more", original.path);
    const Place place{UniqueFd(::dup(kept_.get())), name, original.path};
    const auto kept = TRY(examine(place, original.state.kind == State::Kind::File));
    if (kept.kind == original.state.kind && kept.digest == original.state.digest &&
        kept.target == original.state.target)
        return {};
    return make_error(errors::kJournal, "the kept original of {} was changed", original.path);
}

Status Journal::restore(const Original& original, std::vector<std::string>& notes) {
    const auto place = TRY(tree_->exact(original.path));
    if (!place) {
        if (original.state.kind == State::Kind::None) return {};
        return make_error(errors::kJournal, "the directory of {} is gone", original.path);
    }
    TRY(remove_part(*place));
    const auto name = std::to_string(original.id);
    const auto now = TRY(examine(*place, original.state.kind == State::Kind::File));
    // The same content in another inode is put back as well where the inode itself was kept.
    const bool inode_matters = now.kind == State::Kind::File && kept_.valid() && !missing_in(kept_.get(), name);
    if (now == original.state && (!inode_matters || same_inode(*place, kept_.get(), name))) return {};
    TRY(check_kept(original));
    const bool was_directory = original.state.kind == State::Kind::Directory;
    if (now.kind == State::Kind::Directory && !was_directory &&
        ::unlinkat(place->directory.get(), place->name.c_str(), AT_REMOVEDIR) != 0) {
        if (errno != ENOTEMPTY) return errno_error(errno, "the guest's " + original.path);
        notes.push_back(original.path + " stays: there is something in it that no repair made");
        return {};
    }
    if (was_directory && now.kind != State::Kind::None && now.kind != State::Kind::Directory) TRY(remove_name(*place));
    return restore_original(*place, original.state, kept_.get(), name);
}

// Names that came up where a tool worked. After a kill somebody may have used the system since: then only what is named
// after a file of the tool's is taken for its leavings.
Status Journal::clear_watches(const std::vector<Original>& originals, bool only_known,
                              std::vector<std::string>& notes) {
    std::set<std::string> paths, tools;
    for (const auto& original : originals) paths.insert(original.path);
    for (const auto& change : run().changes)
        if (change.tool) tools.insert(leaf_of(change.path));
    for (const auto& watch : run().watches) {
        const auto directory = TRY(tree_->exact(watch.path + "/" + kPartName));
        if (!directory) continue;
        const std::set<std::string> old(watch.names.begin(), watch.names.end());
        for (const auto& name : TRY(names_in(directory->directory.get(), kNamesInWatched))) {
            const auto path = watch.path + "/" + name;
            if (old.contains(name) || paths.contains(path)) continue;
            const bool derived = name == kPartName || std::any_of(tools.begin(), tools.end(), [&](const auto& leaf) {
                                     return name.find(leaf) != name.npos;
                                 });
            if (only_known && !derived) {
                notes.push_back(path + " is new since the unfinished repair and stays");
                continue;
            }
            TRY(remove_tree({UniqueFd(::dup(directory->directory.get())), name, path}));
        }
    }
    return {};
}

Status Journal::take_back_run(bool only_known, std::vector<std::string>& notes) {
    const auto list = originals(text_.runs, text_.runs.size() - 1);
    TRY(clear_watches(list, only_known, notes));
    for (const auto& original : list) {
        if (only_known && !original.by_tool) {
            const auto now = TRY(state_now(original.path));
            if (!knows(original.known, now)) {
                notes.push_back(original.path + " was changed after the unfinished repair and stays");
                continue;
            }
        }
        TRY(restore(original, notes));
    }
    return drop_unfinished();
}

Status Journal::roll_back(std::vector<std::string>& notes) {
    // It may have come no further than its directory.
    if (!started_) return text_.runs.empty() ? drop_all() : Status();
    return take_back_run(false, notes);
}

Status Journal::put_back(std::uint64_t id) {
    for (const auto& change : run().changes) {
        if (change.id != id) continue;
        std::vector<std::string> notes;
        TRY(restore({change.what, change.path, id, change.before, {}, {}, false, 0, 0}, notes));
        return settle(id, State(change.before));
    }
    return {};
}

Status Journal::recover(std::vector<std::string>& notes) {
    if (text_.runs.empty()) return drop_all();  // what a kill after the journal went has left
    if (!interrupted()) return {};
    if (text_.undoing) {
        for (const auto& original : changed_originals(text_.undo_from)) TRY(restore(original, notes));
        TRY(drop_runs(text_.undo_from));
        notes.emplace_back("an undo had been cut short and was brought to its end");
        return {};
    }
    TRY(take_back_run(true, notes));
    notes.emplace_back("a repair had been cut short; what it had changed was taken back first");
    return {};
}

Result<std::vector<std::string>> Journal::changed_by_others() const {
    std::vector<std::string> out;
    for (const auto& original : originals(text_.runs, 0))
        if (!original.by_tool && !knows_content(original.known, TRY(state_now(original.path))))
            out.push_back(original.path);
    return out;
}

// Where the very first content is there again, somebody has put it back, and nothing of it can be lost.
Result<std::size_t> Journal::undo_from(std::vector<std::string>* changed) const {
    std::vector<std::pair<std::size_t, std::string>> met;
    for (const auto& original : originals(text_.runs, 0))
        if (original.barrier != 0 && !same(TRY(state_now(original.path)), original.state))
            met.emplace_back(original.barrier, original.path);
    std::size_t from = 0;
    for (const auto& [run, path] : met) from = std::max(from, run);
    for (auto& [run, path] : met)
        if (changed && run == from) changed->push_back(std::move(path));
    return from;
}

Result<std::uint64_t> Journal::undo_since(std::vector<std::string>* changed) const {
    const auto from = TRY(undo_from(changed));
    return from == 0 ? 0 : text_.runs[from].number;
}

Result<std::vector<Change>> Journal::undo(bool dry_run, std::vector<std::string>& notes) {
    std::vector<Change> done;
    std::vector<std::string> foreign, changed, left;
    const auto from = TRY(undo_from(&changed));
    const auto list = changed_originals(from);
    for (const auto& original : list) {
        const auto now = TRY(state_now(original.path));
        if (same(now, original.state)) continue;
        if (!original.by_tool && !knows(original.known, now))
            foreign.push_back(original.state.kind == State::Kind::None
                                  ? original.path + " (it was not there)"
                                  : fmt::format("{} (it was {}/kept/{})", original.path, where_, original.id));
        else TRY(check_kept(original));
        done.push_back({"undo: " + original.what, original.path, describe(now), describe(original.state)});
    }
    if (!foreign.empty()) {
        const auto count = foreign.size();
        if (count > kNamed) foreign.resize(kNamed);
        return make_error(errors::kChangedSince, "{} of the repaired files: {}", count, join(foreign, ", "));
    }
    if (from != 0) {
        if (changed.size() > kNamed) changed.resize(kNamed);
        notes.push_back(
            fmt::format("this undo goes back to what repair {} found, and no further: others had changed "
                        "{} since the repair before it",
                        text_.runs[from].number, join(changed, ", ")));
    }
    if (dry_run || text_.runs.empty()) return done;
    file_ = UniqueFd(::openat(directory_.get(), kJournalName, O_WRONLY | O_APPEND | O_NOFOLLOW | O_CLOEXEC));
    if (!file_.valid()) return errno_error(errno, where_);
    if (::ftruncate(file_.get(), static_cast<off_t>(text_.whole)) != 0) return errno_error(errno, where_);
    length_ = text_.whole;
    TRY(append(undo_line(text_.last_run, from == 0 ? std::nullopt : std::optional(text_.runs[from].number))));
    text_.undoing = true;
    text_.undo_from = from;
    for (const auto& original : list) TRY(restore(original, left));
    TRY(drop_runs(from));
    for (const auto& note : left) done.push_back({note, where_, "", ""});
    return done;
}

}  // namespace slipway::fixup
