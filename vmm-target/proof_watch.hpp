// SPDX-License-Identifier: GPL-3.0-or-later
// Waits for a proof line in a growing log, woken by inotify.
#pragma once

#include <atomic>
#include <chrono>
#include <filesystem>
#include <string>

#include "vmm-target/vm_directory.hpp"

namespace slipway::vmm {

// Errors: vmm.no-proof, vmm.ended, vmm.cancelled.
Status wait_for_proof(const std::filesystem::path& log, const QemuProcess& process, const std::string& nonce,
                      std::chrono::seconds timeout, const std::atomic<bool>* cancel);

}  // namespace slipway::vmm
