// SPDX-License-Identifier: GPL-3.0-or-later
#include <boost/json.hpp>

#include "lib/base/strings.hpp"
#include "vmscript/validation/report.hpp"

namespace slipway::vmscript {

namespace json = boost::json;

namespace {

json::object to_json(const Finding& f) {
    return {{"id", f.id},
            {"group", name_of(f.group)},
            {"title", f.title},
            {"what", f.what},
            {"verdict", name_of(f.verdict)},
            {"found", f.found},
            {"why", f.why},
            {"to_do", f.to_do}};
}

}  // namespace

std::string report_json(const gatherhw::Inventory& inventory, const std::vector<Finding>& findings,
                        const ReportOptions& options) {
    const auto s = summarize(findings);
    json::array rows, first;
    for (const auto* f : shown(findings, options)) rows.push_back(to_json(*f));
    for (const auto* f : s.first) first.push_back({{"id", f->id}, {"what", f->what}, {"to_do", f->to_do}});
    json::object counts{{"ok", s.of(Verdict::Ok)},
                        {"not_checked", s.of(Verdict::NotChecked)},
                        {"note", s.of(Verdict::Note)},
                        {"warning", s.of(Verdict::Warning)},
                        {"error", s.of(Verdict::Error)}};
    return json::serialize(json::object{{"schema", "urn:slipway:validation:1"},
                                        {"machine", printable(inventory.system.host_name)},
                                        {"system", machine_line(inventory)},
                                        {"collected", printable(inventory.collected)},
                                        {"verdict", name_of(s.worst)},
                                        {"sentence", s.sentence},
                                        {"counts", std::move(counts)},
                                        {"first", std::move(first)},
                                        {"checks", std::move(rows)}}) +
           "\n";
}

}  // namespace slipway::vmscript
