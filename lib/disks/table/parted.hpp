// SPDX-License-Identifier: GPL-3.0-or-later
// libparted reports through one handler for the whole process: who calls it holds a session, one at a time.
#pragma once

#include <string>

namespace slipway::disks {

// Answers libparted's questions: Fix where that is offered, then Ignore, else no. Kernel and old handler are left alone
// when it ends.
class PartedSession {
public:
    PartedSession();  // waits for another thread's
    ~PartedSession();
    PartedSession(const PartedSession&) = delete;
    PartedSession& operator=(const PartedSession&) = delete;
    // What libparted said last, printable; "libparted refused" where it said nothing.
    std::string message() const;
};

}  // namespace slipway::disks
