// SPDX-License-Identifier: GPL-3.0-or-later
// The rules as a list: for --list-rules, and for docs/validation.md.
#include <fmt/format.h>
#include <boost/json.hpp>

#include "lib/base/strings.hpp"
#include "vmscript/validation/report.hpp"
#include "vmscript/validation/rule.hpp"
#include "vmscript/validation/wrap.hpp"

namespace slipway::vmscript {

std::string wrapped(std::string_view text, std::size_t at, std::size_t indent, std::size_t width) {
    std::string out;
    std::size_t column = at;
    bool fresh = true;  // no word on this line yet
    for (const auto& word : split(text, ' ')) {
        if (word.empty()) continue;
        std::size_t columns = 0;
        for (unsigned char c : word) columns += (c & 0xc0) != 0x80;
        if (!fresh && column + 1 + columns > width) {
            out += "\n" + std::string(indent, ' ');
            column = indent;
            fresh = true;
        }
        if (!fresh) out += ' ', ++column;
        out += word;
        column += columns;
        fresh = false;
    }
    return out + "\n";
}

std::string rules_text(std::size_t width) {
    std::string out;
    for (auto group : all_groups()) {
        out += fmt::format("{}{} (--group {})\n", out.empty() ? "" : "\n", title_of(group), name_of(group));
        for (const auto& rule : rules()) {
            if (rule.group != group) continue;
            out += fmt::format("  {:<24} ", rule.id);
            out +=
                wrapped(fmt::format("{}: at worst {}. {}", rule.title, name_of(rule.worst), rule.why), 27, 27, width);
        }
    }
    return out + fmt::format("\n{} rules\n", rules().size());
}

std::string rules_json() {
    boost::json::array rows;
    for (const auto& rule : rules())
        rows.push_back({{"id", rule.id},
                        {"group", name_of(rule.group)},
                        {"worst", name_of(rule.worst)},
                        {"title", rule.title},
                        {"why", rule.why},
                        {"forcible", rule.forcible}});
    return boost::json::serialize(
               boost::json::object{{"schema", "urn:slipway:validation-rules:1"}, {"rules", std::move(rows)}}) +
           "\n";
}

std::string rules_table() {
    std::string out;
    for (auto group : all_groups()) {
        out +=
            fmt::format("### {}\n`--group {}`\n\n| rule | looks at | at worst | why it matters |\n|---|---|---|---|\n",
                        title_of(group), name_of(group));
        for (const auto& rule : rules())
            if (rule.group == group)
                out += fmt::format("| `{}` | {} | {} | {} |\n", rule.id, rule.title, name_of(rule.worst), rule.why);
        out += "\n";
    }
    return out;
}

}  // namespace slipway::vmscript
