// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/whole_repair.hpp"

#include <boost/json.hpp>

#include "guest-fixup/errors.hpp"
#include "lib/base/errors.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

// What earlier runs changed stays in the guest's journal.
Status save_journal(Guest& guest, const RepairReport& report) {
    if (report.journal.empty() || report.dry_run) return {};
    const auto file = guest.journal_base() + "/slipway/repair.json";
    boost::system::error_code bad;
    auto out = boost::json::parse(to_json(report), bad).as_object();
    auto before = boost::json::parse(TRY(guest.read(file)).value_or(""), bad);
    if (!bad && before.is_object())
        if (auto* changes = before.as_object().if_contains("journal"); changes && changes->is_array()) {
            for (auto& change : out["journal"].as_array()) changes->as_array().push_back(change);
            out["journal"] = *changes;
        }
    // Connections that were edited may hold a network's key.
    return guest.write_unrecorded(file, boost::json::serialize(out) + "\n", 0600);
}

}  // namespace

Status all_or_nothing(Guest& guest, RepairReport& report, const std::function<void(const std::string&)>& note,
                      const std::function<Status()>& steps, const std::function<Status()>& take_back) {
    auto done = steps();
    report.journal = guest.journal();
    if (done) done = save_journal(guest, report);
    if (done) done = guest.finish_repair();
    const bool cancelled = !done && guest.cancelled();
    if (cancelled && guest.dry_run()) return make_error(errors::kCancelled, "interrupted: nothing was to be changed");
    if (done || guest.dry_run()) return done;
    auto error = std::move(done).error();
    if (!cancelled && error.is(slipway::errors::kNoSpace))
        error = make_error(errors::kGuestFull, "{}", error.describe());
    std::vector<std::string> notes;
    auto back = take_back ? take_back() : Status();
    if (auto files = guest.roll_back(notes); back) back = std::move(files);
    for (const auto& text : notes) note(text);
    // The next repair tries again.
    if (!back)
        return make_error(errors::kNotTakenBack, "{}; not all changes could be taken back: {}",
                          cancelled ? "interrupted" : error.describe(), back.error().describe());
    // What the guest's tool made of being ended is no failure of its own.
    if (cancelled)
        return make_error(errors::kCancelled, "interrupted: what was changed is taken back, {}",
                          notes.empty() ? "all is as it was" : "but " + join(notes, "; "));
    return error;
}

}  // namespace slipway::fixup
