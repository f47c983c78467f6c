// SPDX-License-Identifier: GPL-3.0-or-later
#include "agent-ramdisk/agent/vm_tasks.hpp"

#include "vmm-target/tasks.hpp"

namespace slipway::agent {

void add_vm_tasks(TaskTable& table, vmm::Target& target) {
    for (const char* type : {"check-vmhost", "create-network", "create-vm", "delete-vm", "start-vm", "stop-vm",
                             "screenshot", "boot-proof", "commit-undo", "discard-undo"})
        table[type] = [&target, type](TaskContext& context) -> Result<TaskOutcome> {
            auto results = TRY(vmm::run_vm_task(target, type, context.parameters, context.log, &context.cancel));
            TaskOutcome outcome;
            for (const auto& [name, value] : results) outcome.result[name] = value;
            return outcome;
        };
}

}  // namespace slipway::agent
