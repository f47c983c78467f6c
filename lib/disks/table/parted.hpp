// SPDX-License-Identifier: GPL-3.0-or-later
// libparted reports through one handler for the whole process: who calls it holds a session, one at a time.
#pragma once

#include <string>

namespace slipway::disks {

// Answers libparted's questions: Fix where that is offered, then Ignore, else no. The handler of before is
// back when it ends.
class PartedSession {
public:
    PartedSession();  // waits for another thread's
    ~PartedSession();
    PartedSession(const PartedSession&) = delete;
    PartedSession& operator=(const PartedSession&) = delete;
    // What libparted said last in the session that is held, printable; "libparted refused" where it said nothing.
    static std::string message();
};

}  // namespace slipway::disks
