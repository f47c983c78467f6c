// SPDX-License-Identifier: GPL-3.0-or-later
#include <algorithm>

#include <fmt/format.h>

#include "lib/base/strings.hpp"
#include "vmscript/validation/report.hpp"
#include "vmscript/validation/wrap.hpp"

namespace slipway::vmscript {

namespace {

constexpr std::size_t kVerdictWidth = 11;  // "not checked"

std::string_view colour_of(Verdict verdict) {
    switch (verdict) {
        case Verdict::Ok: return "\x1b[32m";
        case Verdict::NotChecked: return "\x1b[2m";
        case Verdict::Note: return "\x1b[36m";
        case Verdict::Warning: return "\x1b[33m";
        case Verdict::Error: return "\x1b[1;31m";
    }
    return "";
}

std::string counted(std::size_t n, const char* one, const char* many) {
    return fmt::format("{} {}", n, n == 1 ? one : many);
}

void add_finding(std::string& out, const Finding& f, const ReportOptions& options) {
    constexpr std::size_t kIndent = 2 + kVerdictWidth + 1;
    const auto verdict = fmt::format("{:<{}}", name_of(f.verdict), kVerdictWidth);
    out += "  " + (options.colour ? std::string(colour_of(f.verdict)) + verdict + "\x1b[0m" : verdict) + " ";
    out += wrapped(fmt::format("{}: {}: {}", f.id, f.what, f.found), kIndent, kIndent + 2, options.width);
    auto more = [&](const char* label, const std::string& text) {
        out += std::string(kIndent + 2, ' ') + label + " ";
        out += wrapped(text, kIndent + 7, kIndent + 7, options.width);
    };
    if (f.verdict >= Verdict::Note) more("why:", f.why);
    if (!f.to_do.empty()) more("do: ", f.to_do);
}

}  // namespace

Summary summarize(const std::vector<Finding>& findings) {
    Summary s;
    s.worst = worst(findings);
    for (const auto& f : findings) ++s.count[static_cast<std::size_t>(f.verdict)];
    for (auto verdict : {Verdict::Error, Verdict::Warning})
        for (const auto& f : findings) {
            auto same = [&](const Finding* g) { return g->to_do == f.to_do && g->id == f.id; };
            if (f.verdict == verdict && s.first.size() < kFirst && std::none_of(s.first.begin(), s.first.end(), same))
                s.first.push_back(&f);
        }
    const auto errors = s.of(Verdict::Error), warnings = s.of(Verdict::Warning);
    if (errors > 0)
        s.sentence = fmt::format("It cannot be migrated like this: {}.", counted(errors, "error", "errors"));
    else if (warnings > 0)
        s.sentence = fmt::format("It can be migrated; read the {} first.",
                                 warnings == 1 ? "warning" : fmt::format("{} warnings", warnings));
    else s.sentence = "It can be migrated.";
    return s;
}

std::vector<const Finding*> shown(const std::vector<Finding>& findings, const ReportOptions& options) {
    std::vector<const Finding*> out;
    for (const auto& f : findings) {
        if (options.only_problems && f.verdict < Verdict::Note) continue;
        const auto& groups = options.groups;
        if (groups.empty() || std::find(groups.begin(), groups.end(), name_of(f.group)) != groups.end())
            out.push_back(&f);
    }
    return out;
}

std::string machine_line(const gatherhw::Inventory& i) {
    std::vector<std::string> parts;
    auto add = [&](const std::string& text) {
        if (!text.empty()) parts.push_back(printable(text));
    };
    add(i.os.name + (i.os.service_level.empty() || i.os.family != "windows" ? "" : " " + i.os.service_level));
    add(std::string(trim(i.system.manufacturer + " " + i.system.model)));
    const auto threads = i.system.processors.threads;
    if (threads > 0) add(counted(threads, "processor", "processors"));
    if (i.system.memory_bytes > 0) add(human_bytes(i.system.memory_bytes));
    if (i.system.firmware != gatherhw::Firmware::Unknown)
        add(i.system.firmware == gatherhw::Firmware::Uefi ? "UEFI" : "BIOS");
    add(counted(i.disks.size(), "disk", "disks"));
    return join(parts, ", ");
}

std::string report_text(const gatherhw::Inventory& inventory, const std::vector<Finding>& findings,
                        const ReportOptions& options) {
    const auto host = printable(inventory.system.host_name);
    auto out =
        wrapped(fmt::format("{}: {}", host.empty() ? "(no name)" : host, machine_line(inventory)), 0, 2, options.width);
    const Group* group = nullptr;
    for (const auto* f : shown(findings, options)) {
        if (group == nullptr || *group != f->group) {
            group = &f->group;
            const auto title = std::string(title_of(f->group));
            out += "\n" + (options.colour ? "\x1b[1m" + title + "\x1b[0m" : title) + "\n";
        }
        add_finding(out, *f, options);
    }
    const auto s = summarize(findings);
    out += fmt::format("\n{} OK, {} not checked, {}, {}, {}.\n", s.of(Verdict::Ok), s.of(Verdict::NotChecked),
                       counted(s.of(Verdict::Note), "note", "notes"),
                       counted(s.of(Verdict::Warning), "warning", "warnings"),
                       counted(s.of(Verdict::Error), "error", "errors"));
    out += options.colour ? fmt::format("{}{}\x1b[0m\n", colour_of(s.worst), s.sentence) : s.sentence + "\n";
    return out;
}

}  // namespace slipway::vmscript
