// SPDX-License-Identifier: GPL-3.0-or-later
// The VM host's tasks; linked into the administration agent only.
#pragma once

#include "agent-ramdisk/agent/task.hpp"
#include "vmm-target/target.hpp"

namespace slipway::agent {

// `target` outlives the table.
void add_vm_tasks(TaskTable& table, vmm::Target& target);

}  // namespace slipway::agent
