// SPDX-License-Identifier: GPL-3.0-or-later
// The agent's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::agent::errors {

inline constexpr ErrorId kNoIdentity{
    "agent.no-identity", "Give --token (a new one: `slipway device enroll NAME`), or boot the device again by PXE.",
    false};
inline constexpr ErrorId kStateInUse{"agent.state-in-use",
                                     "Another agent uses this --state-dir; stop it first, or give another.", false};
inline constexpr ErrorId kUnknownTask{"agent.unknown-task", "Use an agent of the server's version.", false};
inline constexpr ErrorId kParameter{"agent.parameter", "Correct that parameter of the task in the sequence.", false};
inline constexpr ErrorId kNoDisk{
    "agent.no-disk", "See the device's inventory for its disks; a driver may be missing in the ramdisk.", false};
inline constexpr ErrorId kDiskInUse{"agent.disk-in-use",
                                    "Capture or deploy from the Deployment Agent, not from the running system.", false};
inline constexpr ErrorId kScript{"agent.script", "See the script's own output in the job's log.", false};
inline constexpr ErrorId kPartition{"agent.partition",
                                    "See the message; `clean` the disk first when its table is to go.", false};
inline constexpr ErrorId kCancelled{"agent.cancelled", "Start the job again when wanted.", false};

}  // namespace slipway::agent::errors
