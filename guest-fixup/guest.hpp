// SPDX-License-Identifier: GPL-3.0-or-later
// The guest's files, reached only below its root (its symlinks never lead outside), and the journal of what was
// changed. In a dry run changes are kept in memory and seen by later reads.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "guest-fixup/fixup.hpp"
#include "guest-fixup/journal.hpp"
#include "guest-fixup/tree.hpp"
#include "lib/base/fd.hpp"

namespace slipway::fixup {

// Files that a program of the guest is about to change: begin_external to commit_external.
struct External {
    struct File {
        std::string shown;  // as it was asked for
        std::string path;
        std::uint64_t id = 0;
        State before;
    };
    struct Directory {
        std::string path;
        std::map<std::string, std::string> seen;  // name -> identity
    };
    std::string what;
    std::vector<File> files;
    std::vector<Directory> directories;
};

class Guest {
public:
    static Result<Guest> open(const std::filesystem::path& root, bool dry_run);

    // Paths are the guest's, "/etc/fstab". A missing file is nullopt; anything but a regular file is an error.
    Result<std::optional<std::string>> read(const std::string& path, std::uint64_t limit = 16u << 20) const;
    // At most so many bytes of its beginning: of files that are as large as the guest's memory.
    Result<std::optional<std::string>> read_start(const std::string& path, std::size_t bytes) const;
    bool exists(const std::string& path) const;
    // Names in a directory, sorted; empty when it is missing, or has more than 100,000.
    std::vector<std::string> list(const std::string& directory) const;
    // The real path on this host with all links followed inside the root; nullopt when it does not exist. To show, and
    // to hand on where nothing of the guest's runs meanwhile.
    std::optional<std::filesystem::path> resolve(const std::string& path) const;
    Result<UniqueFd> open_directory(const std::string& path) const;
    // "sha256:HEX SIZE"
    Result<std::string> digest(const std::string& path) const;

    // Each does nothing, and notes nothing, when the file is so already. Directories are made as needed. An existing
    // file keeps owner, mode and extended attributes.
    Status write(const std::string& what, const std::string& path, const std::string& content, unsigned mode = 0644);
    Status symlink(const std::string& what, const std::string& path, const std::string& target);
    // A file, or a link itself.
    Status remove(const std::string& what, const std::string& path);
    // A directory with all in it.
    Status remove_tree(const std::string& what, const std::string& path);
    void note_change(Change change);  // big texts as their digest
    // For keys, logs, histories: changes from here on are taken back when the repair fails, but their originals are
    // gone once it is whole, no undo brings them back, and the report has digests of them.
    void forget_originals(bool on);
    bool forgets_originals() const { return forget_; }
    // Taken back like any other change, but not reported: the caller does, or it is the report itself.
    Status write_unrecorded(const std::string& path, const std::string& content, unsigned mode);

    // Whether write() or symlink() was asked for this path, also where it was so already: what this repair itself
    // wants.
    bool wants(const std::string& path) const { return wanted_.contains(path); }
    void want(const std::string& path) { wanted_.insert(path); }

    // Around a program of the guest that changes `files` (they need not be there yet): the originals are kept, and the
    // program is given copies. In `directories` (not below them) new files, and changed ones up to 1 MiB, are taken
    // back as well.
    Result<External> begin_external(std::string what, const std::vector<std::string>& files,
                                    const std::vector<std::string>& directories = {});
    Status commit_external(const External& external);   // reports what is different
    Status abandon_external(const External& external);  // back as at the beginning, for who goes on after a failure

    // Where the journal and repair.json are: a directory of the guest, /var/lib unless another is said here.
    void keep_journal_in(std::string base) { journal_base_ = std::move(base); }
    const std::string& journal_base() const { return journal_base_; }
    // What an earlier repair or undo left undone, from that run on (journal.hpp); a dry run may ask, too.
    Result<std::optional<std::uint64_t>> interrupted_since() const;
    std::uint64_t run_number() const { return on_disk_ ? on_disk_->run_number() : 0; }  // of this repair
    // Which run an undo goes back to (journal.hpp).
    Result<std::uint64_t> undo_since() const;
    // From here to finish_repair every change is announced in the guest's journal first. What an earlier repair left
    // unfinished is taken back, and what others changed since is looked for; notes say so.
    Status begin_repair(std::vector<std::string>& notes);
    // Before an undo; true: an earlier undo was cut short, and this was the rest of it.
    Result<bool> take_back_unfinished(std::vector<std::string>& notes);
    Status finish_repair();
    Status roll_back(std::vector<std::string>& notes);
    Result<std::vector<Change>> undo(std::vector<std::string>& notes);
    void cancel_on(int fd) { cancel_fd_ = fd; }  // readable: the next change is errors::kCancelled
    bool cancelled() const;

    // A digest of all that was looked at through this guest since it was opened, as it is now; "" when that is too
    // much. With `paths`: of these, as looked_at() gave them.
    std::string inputs_digest(const std::set<std::string>& paths) const;
    const std::set<std::string>& looked_at() const { return looked_at_; }
    std::optional<std::string> read_repair_note(const std::string& name) const;
    Status write_repair_note(const std::string& name, const std::string& content);  // only where a journal is

    // In a dry run: later reads find nothing there.
    void plan_absent(const std::string& path) { planned_[path] = std::nullopt; }
    bool planned_absent(const std::string& path) const {
        const auto planned = planned_.find(path);
        return planned != planned_.end() && !planned->second;
    }

    const std::vector<Change>& journal() const { return journal_; }
    bool dry_run() const { return dry_run_; }
    const std::filesystem::path& root() const { return tree_->root(); }

private:
    Guest(Tree tree, bool dry_run) : tree_(std::make_unique<Tree>(std::move(tree))), dry_run_(dry_run) {}
    void look_at(char kind, const std::string& path) const;
    std::string identity(char kind, const std::string& path) const;
    Result<Place> make_place(const std::string& path, bool follow);
    // Announces, does, settles.
    Status change(const std::string& what, const Place& place, const State& after, const std::function<Status()>& act);
    Status put_file(const std::string& what, const std::string& path, const std::string& content, unsigned mode);
    Status remove_below(const std::string& what, const Place& place, int depth, std::size_t& budget);
    Status keep_for_tool(External& external, const std::string& shown, const Place& place, bool listed);
    Status watch_for_tool(External& external, const std::string& directory);
    Status commit_directory(const External& external, const External::Directory& directory);
    Status found_below(const std::string& what, const Place& place, int depth, std::size_t& budget);

    std::unique_ptr<Tree> tree_;  // the journal points to it
    bool dry_run_ = false;
    bool forget_ = false;
    int cancel_fd_ = -1;
    std::string journal_base_ = kJournalBase;
    std::map<std::string, std::optional<std::string>> planned_;
    std::optional<Journal> on_disk_;
    std::vector<Change> journal_;
    std::set<std::string> wanted_;
    mutable std::set<std::string> looked_at_;
    mutable bool looked_at_too_much_ = false;
};

// "sha256:HEX SIZE" of a file on this host, for the journal.
Result<std::string> file_digest(const std::filesystem::path& path);

}  // namespace slipway::fixup
