// SPDX-License-Identifier: GPL-3.0-or-later
// A page for people: the verdict in a sentence, the numbers, what to do first; then every finding. No script and
// nothing that is fetched, so that it can be mailed, kept with the change request and printed.
#include <tuple>

#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "vmscript/validation/report.hpp"

namespace slipway::vmscript {

namespace {

constexpr std::string_view kStyle = R"(
body { font: 15px/1.45 "Helvetica Neue", Helvetica, Arial, sans-serif; color: #1d2430; background: #fff; margin: 0 auto; max-width: 62em; padding: 2em; }
h1 { font-size: 1.6em; margin: 0; }
h2 { font-size: 1.15em; margin: 2em 0 .5em; border-bottom: 1px solid #d5dae2; padding-bottom: .25em; }
p.machine { margin: .2em 0 1.2em; }
.machine { color: #5a6474; }
div.verdict { border-left-width: 8px; border-left-style: solid; padding: .7em 1em; font-size: 1.25em; font-weight: bold; margin-bottom: 1em; }
table.counts { border-collapse: collapse; margin: 0 0 1em; }
table.counts td { padding: .4em 2.6em .4em 0; color: #5a6474; white-space: nowrap; }
table.counts b { display: block; font-size: 1.7em; color: #1d2430; }
ol li { margin: .6em 0; }
table.findings { border-collapse: collapse; width: 100%; }
table.findings th { text-align: left; font-weight: normal; color: #5a6474; border-bottom: 1px solid #d5dae2; padding: .3em .8em .3em 0; }
table.findings td { vertical-align: top; border-bottom: 1px solid #eceff3; padding: .45em .8em .45em 0; }
td.v { white-space: nowrap; width: 6.5em; }
td.v span { padding: .1em .55em; border-radius: .25em; font-size: .87em; }
td.w { width: 32%; }
code { color: #5a6474; font-size: .87em; }
p.small { margin: .25em 0 0; color: #5a6474; font-size: .93em; }
p.small b { color: #1d2430; }
.error { background: #fde4e1; border-color: #c0261c; } .warning { background: #fdf1d3; border-color: #d39400; }
.note { background: #e1eefb; border-color: #2f74b8; } .not-checked { background: #eceff3; border-color: #8a94a3; }
.ok { background: #e0f3e5; border-color: #2a8a47; }
@media print { body { padding: 0; font-size: 11px; } tr { page-break-inside: avoid; } h2 { page-break-after: avoid; } }
)";

std::string escaped(std::string_view text) {
    std::string out;
    for (char c : printable(text)) switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            case '\'': out += "&#39;"; break;
            default: out += c;
        }
    return out;
}

std::string_view class_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::Ok: return "ok";
        case Verdict::NotChecked: return "not-checked";
        case Verdict::Note: return "note";
        case Verdict::Warning: return "warning";
        case Verdict::Error: return "error";
    }
    return "";
}

std::string summary(const gatherhw::Inventory& inventory, const Summary& s) {
    const auto host =
        inventory.system.host_name.empty() ? std::string("(no name)") : escaped(inventory.system.host_name);
    auto out = fmt::format("<h1>Can {} be migrated?</h1>\n<p class=\"machine\">{}{}</p>\n", host,
                           escaped(machine_line(inventory)),
                           inventory.collected.empty() ? "" : "; inventory of " + escaped(inventory.collected));
    out += fmt::format("<div class=\"verdict {}\">{}</div>\n<table class=\"counts\"><tr>", class_of(s.worst),
                       escaped(s.sentence));
    for (auto [verdict, one, many] : {std::tuple{Verdict::Error, "error", "errors"},
                                      {Verdict::Warning, "warning", "warnings"},
                                      {Verdict::Note, "note", "notes"},
                                      {Verdict::NotChecked, "not checked", "not checked"},
                                      {Verdict::Ok, "in order", "in order"}})
        out += fmt::format("<td><b>{}</b>{}</td>", s.of(verdict), s.of(verdict) == 1 ? one : many);
    out += "</tr></table>\n";
    if (s.first.empty()) return out;
    out += "<h2>What to do first</h2>\n<ol>\n";
    for (const auto* f : s.first)
        out += fmt::format("<li><b>{}</b><br><span class=\"machine\">{}: {}</span></li>\n", escaped(f->to_do),
                           escaped(f->what), escaped(f->found));
    return out + "</ol>\n";
}

std::string row(const Finding& f) {
    auto out = fmt::format(
        "<tr><td class=\"v\"><span class=\"{}\">{}</span></td><td class=\"w\">{}<br><code>{}</code></td><td>{}",
        class_of(f.verdict), name_of(f.verdict), escaped(f.what), escaped(f.id), escaped(f.found));
    if (f.verdict >= Verdict::Note) out += fmt::format("<p class=\"small\"><b>Why:</b> {}</p>", escaped(f.why));
    if (!f.to_do.empty())
        out += fmt::format("<p class=\"small\"><b>{}:</b> {}</p>",
                           f.verdict == Verdict::NotChecked ? "How to know" : "What to do", escaped(f.to_do));
    return out + "</td></tr>\n";
}

}  // namespace

std::string report_html(const gatherhw::Inventory& inventory, const std::vector<Finding>& findings,
                        const ReportOptions& options) {
    auto out = fmt::format(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<meta "
        "http-equiv=\"Content-Security-Policy\" "
        "content=\"default-src 'none'; style-src 'unsafe-inline'\">\n<title>Validation of "
        "{}</title>\n<style>{}</style>\n</head>\n<body>\n",
        escaped(inventory.system.host_name), kStyle);
    out += summary(inventory, summarize(findings));
    const Group* group = nullptr;
    for (const auto* f : shown(findings, options)) {
        if (group == nullptr || *group != f->group) {
            if (group != nullptr) out += "</table>\n";
            group = &f->group;
            out += fmt::format(
                "<h2>{}</h2>\n<table class=\"findings\">\n<tr><th>verdict</th><th>what</th><th>found</th></tr>\n",
                title_of(f->group));
        }
        out += row(*f);
    }
    if (group != nullptr) out += "</table>\n";
    return out +
           "<p class=\"machine\">Made by vmscript --hwvalidate. Each rule is in "
           "docs/validation.md.</p>\n</body>\n</html>\n";
}

}  // namespace slipway::vmscript
