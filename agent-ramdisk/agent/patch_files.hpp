// SPDX-License-Identifier: GPL-3.0-or-later
// The patch library of the server, for a repair that this ramdisk's own has not the files for.
#pragma once

#include "agent-ramdisk/agent/task.hpp"
#include "lib/patches/supply.hpp"

namespace slipway::agent {

// One file; nothing when the server has not got it, which is logged with the place where it was looked for.
Result<std::optional<std::string>> patch_file(const TaskContext& context, const patches::FileKey& key);

}  // namespace slipway::agent
