// SPDX-License-Identifier: GPL-3.0-or-later
// Waits for a proof line in a growing log, woken by inotify and by QEMU's events.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>

#include "vmm-target/qmp.hpp"
#include "vmm-target/vm_directory.hpp"

namespace slipway::vmm {

// A line counts for the boot it was written in: once the guest has restarted it is no proof.
// Errors: vmm.no-proof, vmm.proof-refused, vmm.ended, vmm.cancelled.
Status wait_for_proof(const std::filesystem::path& log, const QemuProcess& process, QmpClient& qmp,
                      const std::string& nonce, std::chrono::seconds timeout, const std::atomic<bool>* cancel);

}  // namespace slipway::vmm
