// SPDX-License-Identifier: GPL-3.0-or-later
// Who a job's machine is to be (guest-fixup/personality.hpp), checked when the job is made: the step that reads it
// comes after the disks are overwritten. Pure.
#pragma once

#include "sequences/model.hpp"

namespace slipway::server {

// variables: the effective ones of one device's run. A document that is a file in the agent's ramdisk is not seen here.
// Errors: fixup.personality.
Status check_personalities(const sequences::Sequence& sequence, const sequences::Values& variables);

}  // namespace slipway::server
