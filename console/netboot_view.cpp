// SPDX-License-Identifier: GPL-3.0-or-later
#include "console/netboot_view.hpp"

#include <algorithm>
#include <iostream>

#include <fmt/format.h>

#include "console/rest_client.hpp"
#include "console/table.hpp"
#include "lib/base/strings.hpp"

namespace slipway::console {

namespace json = boost::json;

namespace {

constexpr std::uint64_t kPause = 60'000, kShow = 5'000;  // ms: between boots, between lines of progress in a log

bool flag_at(const json::value& value, std::string_view key) {
    const auto* found = member(value, key);
    return found && found->is_bool() && found->get_bool();
}

bool is_boot_discover(const json::value& event) {
    return text_at(event, "kind") == "heard" && text_at(event, "type") == "DISCOVER" && flag_at(event, "boots");
}

std::string seconds(std::uint64_t ms, std::uint64_t first) {
    return fmt::format("{:>8.3f} s", static_cast<double>(ms - std::min(ms, first)) / 1000);
}

}  // namespace

std::string BootLines::line(const json::value& event, bool with_machine) {
    auto mac = text_at(event, "mac"), kind = text_at(event, "kind");
    auto ms = number_at(event, "ms");
    auto& boot = boots_[mac];
    bool again = boot.first_ms == 0 || ms - std::min(ms, boot.last_ms) > kPause;
    // iPXE asks once more after the firmware's loader; after its script it is another boot, and so is who asks anew
    // after having chosen an address (pxe/doctor.cpp).
    bool ipxe = flag_at(event, "ipxe");
    bool over = boot.scripted || (boot.fetched && !ipxe) || boot.ipxe_chose || (boot.firmware_chose && !ipxe);
    if (again || (over && is_boot_discover(event))) boot = {.first_ms = ms};
    boot.last_ms = ms;
    boot.fetched |= kind == "transfer";
    boot.scripted |= kind == "script" || kind == "ready" || kind == "enrolment" || kind == "trouble";
    if (kind == "heard" && text_at(event, "type") == "REQUEST" && flag_at(event, "boots"))
        (ipxe ? boot.ipxe_chose : boot.firmware_chose) = true;
    bool moving = text_at(event, "stage") == "moving";
    if (moving && !terminal_ && ms - std::min(ms, boot.shown_ms) < kShow) return {};
    if (kind == "transfer") boot.shown_ms = ms;
    auto who = with_machine ? mac + "  " : std::string();
    if (auto device = text_at(event, "device"); with_machine && !device.empty()) who += device + "  ";
    return seconds(ms, boot.first_ms) + "  " + who + printable(text_at(event, "text"));
}

void BootLines::show(const json::value& event, bool with_machine) {
    auto text = line(event, with_machine);
    if (text.empty()) return;
    if (open_) std::cout << "\r\x1b[K";
    open_ = terminal_ && text_at(event, "stage") == "moving";
    std::cout << text << (open_ ? "" : "\n") << std::flush;
}

void BootLines::end() {
    if (open_) std::cout << std::endl;
    open_ = false;
}

bool arrived(const json::value& event) {
    auto kind = text_at(event, "kind");
    return kind == "ready" || (kind == "script" && !flag_at(event, "agent"));
}

std::string wrapped(const std::string& text, std::size_t width, const std::string& indent) {
    std::string out = indent;
    std::size_t column = indent.size();
    for (const auto& word : split(text, ' ')) {
        if (column > indent.size() && column + 1 + word.size() > width) {
            out += "\n" + indent;
            column = indent.size();
        } else if (column > indent.size()) {
            out += ' ';
            ++column;
        }
        out += word;
        column += word.size();
    }
    return out + "\n";
}

std::string finding_text(const json::value& finding) {
    return fmt::format("{} [{}]\n", printable(text_at(finding, "title")), text_at(finding, "id")) +
           wrapped(printable(text_at(finding, "message")), 100, "  ") +
           wrapped("What to do: " + printable(text_at(finding, "advice")), 100, "  ");
}

std::string hearing_note(const json::value& answer) {
    const auto* hearing = member(answer, "hearing");
    if (!hearing) return {};
    std::string out;
    for (const auto& r : array_at(*hearing, "rogues"))
        out += fmt::format("note: another server: {} (last heard {})\n", printable(text_at(r, "text")),
                           printable(text_at(r, "last")));
    if (flag_at(*hearing, "other_servers")) return out;
    return out + "note: the answers of other DHCP and PXE servers are not heard here: " +
           printable(text_at(*hearing, "why")) + "\n";
}

std::string trace_text(const json::value& trace, bool all_events) {
    auto device = text_at(trace, "device"), outcome = text_at(trace, "outcome"), reached = text_at(trace, "reached");
    auto out = (device.empty() ? text_at(trace, "mac") : device + " (" + text_at(trace, "mac") + ")") + ": ";
    if (outcome == "booted") out += "booted, its agent is ready\n";
    else if (outcome == "local-disk") out += "was sent to its local disk\n";
    else if (outcome == "underway") out += fmt::format("under way; the last hop was '{}'\n", reached);
    else if (const auto* finding = member(trace, "finding"))
        out += fmt::format("the hop '{}' failed\n", text_at(*finding, "hop")) + finding_text(*finding);
    std::vector<std::uint64_t> evidence;
    if (const auto* finding = member(trace, "finding"))
        for (const auto& id : array_at(*finding, "evidence")) {
            boost::system::error_code wrong;
            auto number = id.to_number<std::uint64_t>(wrong);
            if (!wrong) evidence.push_back(number);
        }
    BootLines lines(true);
    std::string seen;
    for (const auto& event : array_at(trace, "items")) {
        auto line = lines.line(event, false);
        auto id = number_at(event, "id");
        if (all_events || std::find(evidence.begin(), evidence.end(), id) != evidence.end())
            seen += fmt::format("  {}  {}\n", text_at(event, "time"), line);
    }
    if (!seen.empty()) out += (all_events ? "all that was seen:\n" : "seen:\n") + seen;
    return out + hearing_note(trace);
}

std::string traces_text(const json::value& traces) {
    Table table({"MAC", "DEVICE", "OUTCOME", "REACHED", "FINDING", "LAST"});
    for (const auto& t : array_at(traces, "items")) {
        const auto* finding = member(t, "finding");
        table.row({text_at(t, "mac"), text_at(t, "device"), text_at(t, "outcome"), text_at(t, "reached"),
                   finding ? text_at(*finding, "id") : "", text_at(t, "last")});
    }
    return table.text() + hearing_note(traces);
}

ExitCode exit_of_trace(const json::value& trace) {
    return text_at(trace, "outcome") == "failed" ? kExitWarnings : kExitDone;
}

}  // namespace slipway::console
