// SPDX-License-Identifier: GPL-3.0-or-later
// A guest's repair journal: no text breaks the parser, no path it lets through leads upwards, and what we write of what
// was read is read as the same.
#include <cstdint>
#include <cstdlib>

#include "guest-fixup/journal_format.hpp"

using namespace slipway;
using namespace slipway::fixup;

namespace {

void check_path(const std::string& path) {
    if (path.empty() || path[0] != '/' || (path + "/").find("/../") != path.npos) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto parsed = parse_journal(text);
    if (!parsed) return 0;
    if (parsed->whole > size) std::abort();
    if (parsed->undo_from != 0 && (!parsed->undoing || parsed->undo_from >= parsed->runs.size())) std::abort();
    for (const auto& run : parsed->runs)
        if (run.start == 0 || text[run.start - 1] != '\n') std::abort();
    std::string again(kJournalHead);
    for (const auto& run : parsed->runs) {
        again += run_line(run.number);
        for (const auto& change : run.changes) {
            check_path(change.path);
            again += change_line(change);
        }
        if (run.finished) again += end_line(run.number);
        for (const auto& watch : run.watches) check_path(watch.path);
    }
    if (parsed->runs.empty()) return 0;
    const auto second = parse_journal(again);
    if (!second || second->runs.size() != parsed->runs.size()) std::abort();
    for (std::size_t i = 0; i < parsed->runs.size(); ++i)
        if (second->runs[i].changes != parsed->runs[i].changes) std::abort();
    return 0;
}
