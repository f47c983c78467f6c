// SPDX-License-Identifier: GPL-3.0-or-later
// The text of a guest's repair journal, /var/lib/slipway/repair/journal. One JSON object a line, each on the disk
// before what it announces is done:
//   {"slipway-repair-journal":1}                            the first line
//   {"run":N}                                               a repair begins
//   {"change":ID,"what":…,"path":…,"before":STATE[,"after":STATE][,"tool":true][,"forget":true]}
//                                                           PATH is about to change; without "after", a guest's tool
//                                                           will change it. kept/ID is the original, when there was
//                                                           one; with "forget" only until the end of the run
//   {"watch":ID,"path":…,"names":[…]}                       a directory a guest's tool writes in, and what was in it
//   {"after":ID,"state":STATE}                              what change ID came to
//   {"end":N}                                               the repair is whole; a run without it is taken back
//   {"undo":N[,"from":M]}                                   the runs up to N are being taken back, all or from M on
// STATE: {"kind":"none|file|link|directory|other","mode":,"uid":,"gid":,"size":,"sha256":,"target":}. Paths have no
// link in them. A last line that is cut short was never acted upon. The guest owns this file: it is hostile bytes, and
// what it says leads no further than the guest's own tree (Tree::exact).
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "guest-fixup/tree.hpp"

namespace slipway::fixup {

struct JournalChange {
    std::uint64_t id = 0;
    std::string what, path;
    State before;
    std::optional<State> after;
    bool tool = false;
    bool forget = false;  // the original is nobody's business once the repair is whole
    bool operator==(const JournalChange&) const = default;
};

struct JournalWatch {
    std::uint64_t id = 0;
    std::string path;
    std::vector<std::string> names;
    bool operator==(const JournalWatch&) const = default;
};

struct JournalRun {
    std::uint64_t number = 0;
    std::vector<JournalChange> changes;
    std::vector<JournalWatch> watches;
    bool finished = false;
    std::size_t start = 0;  // of its line in the text
};

struct JournalText {
    std::vector<JournalRun> runs;  // all finished but perhaps the last
    std::size_t whole = 0;         // bytes up to the end of the last finished run (or of the first line)
    bool undoing = false;
    std::size_t undo_from = 0;  // index of the first run that is being taken back
    std::uint64_t last_id = 0, last_run = 0;
};

inline constexpr std::size_t kJournalLimit = 64u << 20;
inline constexpr std::string_view kJournalHead = "{\"slipway-repair-journal\":1}\n";

// errors::kJournal names the line that cannot be read.
Result<JournalText> parse_journal(std::string_view text);

std::string run_line(std::uint64_t number);
std::string end_line(std::uint64_t number);
std::string undo_line(std::uint64_t last, std::optional<std::uint64_t> from);
std::string change_line(const JournalChange& change);
std::string watch_line(const JournalWatch& watch);
std::string after_line(std::uint64_t id, const State& state);

}  // namespace slipway::fixup
