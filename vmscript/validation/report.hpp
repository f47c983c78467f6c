// SPDX-License-Identifier: GPL-3.0-or-later
// Findings as a table for a terminal, as JSON for programs, and as a page that a manager can read. Pure: the same
// findings give the same bytes.
#pragma once

#include <array>

#include "gatherhw/model.hpp"
#include "vmscript/validation/finding.hpp"

namespace slipway::vmscript {

struct ReportOptions {
    std::vector<std::string> groups;  // names; empty: all
    bool only_problems = false;       // notes, warnings and errors alone
    std::size_t width = 100;          // columns
    bool colour = false;
};

// Over all findings, whatever is shown.
struct Summary {
    Verdict worst = Verdict::Ok;
    std::array<std::size_t, 5> count{};  // by Verdict
    std::string sentence;                // "It cannot be migrated like this: 2 errors."
    std::vector<const Finding*> first;   // what to do first: errors, then warnings; at most kFirst, each advice once
    std::size_t of(Verdict verdict) const { return count[static_cast<std::size_t>(verdict)]; }
};
inline constexpr std::size_t kFirst = 7;
Summary summarize(const std::vector<Finding>& findings);

// The findings that are shown, in their order.
std::vector<const Finding*> shown(const std::vector<Finding>& findings, const ReportOptions& options);

// "Debian GNU/Linux 12 (bookworm), HP ProLiant DL380, 8 processors, 16.0 GiB, BIOS": what is known of it.
std::string machine_line(const gatherhw::Inventory& inventory);

std::string report_text(const gatherhw::Inventory& inventory, const std::vector<Finding>& findings,
                        const ReportOptions& options = {});
// urn:slipway:validation:1, in docs/validation.md.
std::string report_json(const gatherhw::Inventory& inventory, const std::vector<Finding>& findings,
                        const ReportOptions& options = {});
// Whole in itself: no script, nothing fetched; every text of the inventory is escaped.
std::string report_html(const gatherhw::Inventory& inventory, const std::vector<Finding>& findings,
                        const ReportOptions& options = {});

// ---- the rules themselves (rules_list.cpp)
std::string rules_text(std::size_t width = 100);
std::string rules_json();
std::string rules_table();  // Markdown, as docs/validation.md has it

}  // namespace slipway::vmscript
