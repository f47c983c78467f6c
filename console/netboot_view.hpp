// SPDX-License-Identifier: GPL-3.0-or-later
// Boot events and diagnoses as text.
#pragma once

#include <map>
#include <string>

#include <boost/json.hpp>

#include "lib/base/exit_code.hpp"

namespace slipway::console {

// A line an event on standard output. On a terminal the progress of a transfer is one line that changes; in a log it is
// a line each few seconds.
class BootLines {
public:
    explicit BootLines(bool terminal) : terminal_(terminal) {}
    void show(const boost::json::value& event, bool with_machine);
    void end();  // of a line that changes

    // For tests: the text of the event, or nothing when it is not worth a line.
    std::string line(const boost::json::value& event, bool with_machine);

private:
    struct Boot {
        std::uint64_t first_ms = 0, last_ms = 0, shown_ms = 0;
        bool fetched = false, scripted = false, firmware_chose = false, ipxe_chose = false;
    };
    bool terminal_, open_ = false;
    std::map<std::string, Boot> boots_;  // by MAC
};

bool arrived(const boost::json::value& event);  // ready, or sent to the local disk

std::string finding_text(const boost::json::value& finding);
std::string trace_text(const boost::json::value& trace, bool all_events);
std::string traces_text(const boost::json::value& traces);
std::string hearing_note(const boost::json::value& answer);  // empty: all is heard
ExitCode exit_of_trace(const boost::json::value& trace);     // 0, or 3 when a hop failed

std::string wrapped(const std::string& text, std::size_t width, const std::string& indent);

}  // namespace slipway::console
