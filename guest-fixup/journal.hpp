// SPDX-License-Identifier: GPL-3.0-or-later
// The write-ahead journal of repairs, in the guest: what is about to change is kept and announced on its disk first, so
// a repair that fails or is killed is taken back, and a finished one can be undone. journal_format.hpp has the format.
#pragma once

#include <string>
#include <vector>

#include "guest-fixup/fixup.hpp"
#include "guest-fixup/journal_format.hpp"
#include "guest-fixup/tree.hpp"

namespace slipway::fixup {

inline constexpr const char* kJournalBase = "/var/lib";
inline constexpr const char* kJournalDirectory = "/var/lib/slipway/repair";
inline constexpr const char* kJournalName = "journal";

class Journal {
public:
    // Reads what earlier repairs left in base + "/slipway/repair" and makes nothing. The tree outlives the journal.
    static Result<Journal> open(const Tree& tree, std::string base = kJournalBase);

    // A repair or an undo was cut short.
    bool interrupted() const { return text_.undoing || (!text_.runs.empty() && !text_.runs.back().finished); }
    // Then from which run on things go back: 0, all of them, when nothing was finished before, or an undo of all was
    // cut short.
    std::optional<std::uint64_t> interrupted_since() const;
    // Of the run that has begun, or of the one that begins with the first change.
    std::uint64_t run_number() const { return started_ ? text_.runs.back().number : text_.last_run + 1; }
    bool exists() const { return directory_.valid(); }
    bool undoing() const { return text_.undoing; }
    // Takes an unfinished repair back, or brings an unfinished undo to its end. Notes are for a person to read.
    Status recover(std::vector<std::string>& notes);

    // Before place changes. after: what it will be; nullopt when a guest's tool will change it. Returns the change's
    // id.
    Result<std::uint64_t> announce(const std::string& what, const Place& place, const std::optional<State>& after);
    const State& before_last() const { return text_.runs.back().changes.back().before; }  // what it has just kept
    // Once it has: notes what it came to where that was not foreseen, or as a tool left it.
    Status settle(std::uint64_t id, const Place& place);
    Status settle(std::uint64_t id, State now);
    // A directory that a guest's tool writes in.
    Status watch(const std::string& path, std::vector<std::string> names);
    // A new file that a tool has made.
    Status found(const std::string& what, const Place& place);

    bool started() const { return started_; }
    // Makes the journal's directory and begins a run, unless that was done: the first change would.
    Status start();
    // What is announced from here on is taken back with an unfinished run, but not kept for an undo.
    void forget_originals(bool on) { forget_ = on; }
    // The run is whole.
    Status finish();
    // Everything of this run as it was.
    Status roll_back(std::vector<std::string>& notes);
    // One change of this run as it was before it.
    Status put_back(std::uint64_t id);

    // Files of finished repairs that are nothing any of them made or met: others changed them since.
    Result<std::vector<std::string>> changed_by_others() const;
    // The run that an undo goes back to; 0: all of them. Not behind the last one that met a file which others had
    // changed since the run before it: what they did would be lost. Those files are named in `changed`.
    Result<std::uint64_t> undo_since(std::vector<std::string>* changed = nullptr) const;
    // Finished repairs from undo_since() on. errors::kChangedSince when that would lose what others did.
    Result<std::vector<Change>> undo(bool dry_run, std::vector<std::string>& notes);

    // A small file beside the journal, no part of any run; nullopt: none.
    std::optional<std::string> read_note(const std::string& name) const;
    Status write_note(const std::string& name, const std::string& content);

private:
    struct Original {
        std::string what, path;
        std::uint64_t id = 0;  // of its first change: kept/ID
        State state, latest;
        std::vector<State> known;  // that we made
        bool by_tool = false;      // what it came to was not noted
        std::size_t run = 0;       // the last one that changed it
        std::size_t barrier = 0;   // the last one that met what no earlier one had made; 0: none
    };
    Journal(const Tree& tree, std::string base)
        : tree_(&tree), base_(std::move(base)), where_(base_ + "/slipway/repair") {}
    Status load();
    Result<UniqueFd> make_base();
    Status append(const std::string& lines);
    JournalRun& run() { return text_.runs.back(); }
    bool first_in_run(const std::string& path);
    static std::vector<Original> originals(const std::vector<JournalRun>& runs, std::size_t from);
    std::vector<Original> changed_originals(std::size_t from) const;
    Result<std::size_t> undo_from(std::vector<std::string>* changed) const;
    Result<State> state_now(const std::string& path) const;
    Status check_kept(const Original& original) const;
    Status restore(const Original& original, std::vector<std::string>& notes);
    Status take_back_run(bool only_known, std::vector<std::string>& notes);
    Status clear_watches(const std::vector<Original>& originals, bool only_known, std::vector<std::string>& notes);
    Status drop_unfinished();
    Status drop_kept();
    Status drop_scratch();
    Status drop_all();
    Status drop_runs(std::size_t from);

    const Tree* tree_;
    std::string base_, where_;
    UniqueFd directory_, kept_, file_;
    std::uint64_t length_ = 0;  // of the file
    JournalText text_;
    bool started_ = false;
    bool forget_ = false;
};

}  // namespace slipway::fixup
