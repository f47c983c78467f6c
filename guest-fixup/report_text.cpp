// SPDX-License-Identifier: GPL-3.0-or-later
// A report, or the plan of a dry run, for people. Files are a line each. Values of a registry or a boot store stand
// below what they are for, key by key; keys of one place that get the same values are named together, since a Windows
// of before Vista has some thirty of those.
#include <algorithm>
#include <span>

#include "guest-fixup/options.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/strings.hpp"

namespace slipway::fixup {

namespace {

struct Key {
    std::string path;                 // "SYSTEM\ControlSet001\Services\atapi"
    std::vector<std::string> values;  // "Start: 3 (manual) -> 0 (boot)"
};

// "KEY: NAME"; nullopt: a file of the guest, or a sector.
std::optional<std::pair<std::string, std::string>> registry_place(const std::string& where) {
    if (where.starts_with('/') || where.find('\\') == std::string::npos) return std::nullopt;
    const auto colon = where.find(": ");
    if (colon == std::string::npos) return std::pair(where, std::string());
    return std::pair(where.substr(0, colon), where.substr(colon + 2));
}

// When a service starts, as services.msc and Device Manager call it.
std::string start_of_service(const std::string& number) {
    constexpr std::string_view kWords[] = {"boot", "system", "automatic", "manual", "disabled"};
    for (std::size_t i = 0; i < std::size(kWords); ++i)
        if (number == fmt::format("0x{:x}", i)) return fmt::format("{} ({})", i, kWords[i]);
    return number;
}

std::string shown_value(const std::string& key, const std::string& name, const std::string& text) {
    constexpr std::size_t kShown = 120;
    if (text.empty()) return "(none)";
    if (iequals(name, "Start") && to_lower(key).find("\\services\\") != std::string::npos)
        return start_of_service(text);
    // Long data is known by its digest alone, as in a boot store: "hex:sha256:0123… 88".
    constexpr std::string_view kDigest = ":sha256:";
    const auto digest = text.starts_with("hex") ? text.find(kDigest) : std::string::npos;
    if (const auto space = text.rfind(' '); digest != std::string::npos && space != std::string::npos)
        return fmt::format("{} bytes ({}...)", printable(text.substr(space + 1)),
                           printable(text.substr(digest + kDigest.size(), 12)));
    return text.size() > kShown ? printable(text.substr(0, kShown)) + " ..." : printable(text);
}

std::string parent_of(const std::string& path) { return path.substr(0, path.rfind('\\')); }

// Names in lines of a readable width.
std::string list_of_names(std::span<const Key> keys) {
    constexpr std::size_t kWidth = 96;
    std::string out, line;
    for (const auto& key : keys) {
        const auto name = printable(key.path.substr(key.path.rfind('\\') + 1)) + (&key == &keys.back() ? "" : ",");
        if (!line.empty() && line.size() + name.size() > kWidth) {
            out += "        " + line + "\n";
            line.clear();
        }
        line += (line.empty() ? "" : " ") + name;
    }
    return out + "        " + line + "\n";
}

std::string text_of(std::span<const Key> keys) {
    std::string out;
    while (!keys.empty()) {
        const auto& first = keys.front();
        const auto alike = std::find_if(keys.begin(), keys.end(), [&](const auto& key) {
            return key.values != first.values || parent_of(key.path) != parent_of(first.path);
        });
        const auto count = static_cast<std::size_t>(alike - keys.begin());
        if (count > 1)
            out += fmt::format("    {} keys of {}: {}\n{}", count, printable(parent_of(first.path)),
                               join(first.values, ", "), list_of_names(keys.first(count)));
        else if (first.values.size() == 1)
            out += fmt::format("    {}: {}\n", printable(first.path), first.values.front());
        else out += fmt::format("    {}\n", printable(first.path));
        if (count == 1 && first.values.size() > 1)
            for (const auto& value : first.values) out += "        " + value + "\n";
        keys = keys.subspan(count);
    }
    return out;
}

// The changes of a registry from the first one on that have one purpose.
std::string registry_text(std::span<const Change>& changes) {
    const auto what = changes.front().what;
    std::vector<Key> keys;
    for (; !changes.empty() && changes.front().what == what; changes = changes.subspan(1)) {
        const auto& change = changes.front();
        const auto place = registry_place(change.where);
        if (!place) break;
        if (keys.empty() || keys.back().path != place->first) keys.push_back({place->first, {}});
        if (!place->second.empty())
            keys.back().values.push_back(fmt::format("{}: {} -> {}", printable(place->second),
                                                     shown_value(place->first, place->second, change.before),
                                                     shown_value(place->first, place->second, change.after)));
    }
    return printable(what) + "\n" + text_of(keys);
}

}  // namespace

std::string to_text(const RepairReport& report) {
    auto out =
        fmt::format("{} on {}\n", report.distribution.empty() ? "unknown system" : printable(report.distribution),
                    printable(report.root_device));
    const auto* verb = report.undo ? (report.dry_run ? "would take back" : "took back")
                                   : (report.dry_run ? "would change" : "changed");
    for (std::span changes(report.journal); !changes.empty();) {
        out += fmt::format("{}  ", verb);
        if (registry_place(changes.front().where)) {
            out += registry_text(changes);
            continue;
        }
        out += fmt::format("{}  ({})\n", printable(changes.front().where), printable(changes.front().what));
        changes = changes.subspan(1);
    }
    if (report.unchanged) out += "nothing to do: all is as the last repair left it\n";
    else if (report.journal.empty()) out += report.undo ? "nothing to take back\n" : "nothing to do\n";
    for (const auto& warning : report.warnings) out += "warning: " + printable(warning) + "\n";
    return out;
}

int exit_code(const RepairReport& report) { return report.warnings.empty() ? kExitDone : kExitWarnings; }

}  // namespace slipway::fixup
