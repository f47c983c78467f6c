// SPDX-License-Identifier: GPL-3.0-or-later
// The vmhost task types of docs/architecture.md over a Target. Every task may be run again: what is done already is
// done. Who cannot tell whether a task was done (after a crash) asks probe_vm_task.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "vmm-target/target.hpp"

namespace slipway::vmm {

using TaskParameters = std::map<std::string, std::string>;
using TaskLog = std::function<void(const std::string&)>;

bool is_vm_task(std::string_view type);

// type             parameters (optional ones in brackets)               results
// check-vmhost     definition [if_exists same|fail]
// create-network   network [interface] [if_exists same|fail]            bridge
// create-vm        definition (XML) [if_exists same|fail|replace]       vm
// delete-vm        vm [definition] [if_other fail|done] [if_absent done|fail]
// start-vm         vm [boot network|disk] [undo true|false]
// stop-vm          vm [grace seconds, 60] [if_absent done|fail]
// screenshot       vm                                                   screenshot (PNG in base64)
// boot-proof       vm nonce [timeout seconds, 600]                      line, seconds, screenshot
// commit-undo      vm
// discard-undo     vm [if_absent done|fail]
// "same": an equal one counts as made, another one is an error. Unknown parameters are ignored.
Result<TaskParameters> run_vm_task(Target& target, std::string_view type, const TaskParameters& parameters,
                                   const TaskLog& log = {}, const std::atomic<bool>* cancel = nullptr);

// True when nothing is left of the task to do. screenshot and boot-proof have their result only in the answer, so they
// are never done; nor is check-vmhost, which changes nothing.
Result<bool> probe_vm_task(Target& target, std::string_view type, const TaskParameters& parameters);

std::string to_base64(ByteView bytes);

}  // namespace slipway::vmm
