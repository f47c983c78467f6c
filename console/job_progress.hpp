// SPDX-License-Identifier: GPL-3.0-or-later
// A group job at work as lines: one a machine with rate and ETA, its multicast session, and all together.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "lib/base/clock.hpp"

namespace slipway::console {

// "deploying  43 %  1.1 GiB of 2.6 GiB  12.0 MiB/s  ETA 2m 10s" of a running step; empty when it has told of none.
std::string progress_text(const boost::json::value& step);

// "deploy-image  deploying  43 %  …": what is under way in a job of one machine; empty when it has told of nothing.
std::string one_line(const boost::json::value& job);

// Nothing for a job with fewer than two children.
//   web1   deploy  deploying  43 %  …
//   web2   failed  repair: no space left [disks.full]
//   multicast of template@1: sending, round 1, 20.0 Mbit/s, 82.1 MiB sent; 1 of 4 by unicast
//   all 4  1 done, 2 at work, 1 failed  51 %  36.0 MiB/s  ETA 2m
// The last one's percentage is of all machines alike: an ended one is whole, a waiting one nothing yet. Its ETA is that
// of the machine that will be ready last; there is none while one waits, is silent or has not said.
std::vector<std::string> group_lines(const boost::json::value& job);

// On a terminal it rewrites the lines in place; in a log it writes them each 10 s.
class GroupPrinter {
public:
    explicit GroupPrinter(const Clock& clock);
    void update(std::vector<std::string> lines);
    void make_way();  // for other lines: what was drawn goes from the screen
    void finish();    // leaves what was drawn standing

private:
    void draw(Instant now);
    const Clock& clock_;
    bool terminal_;
    std::vector<std::string> lines_;
    std::size_t drawn_ = 0;  // lines on the screen
    std::optional<Instant> last_;
};

}  // namespace slipway::console
