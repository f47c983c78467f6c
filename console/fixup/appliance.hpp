// SPDX-License-Identifier: GPL-3.0-or-later
// A repair in a virtual machine of our own: Debian's kernel and the agent's ramdisk, no network, the disks served to it
// by this process over NBD, request and outcome over a virtio-serial port (guest-fixup/wire.hpp). QEMU opens no file of
// the user's. It ends with us, whatever ends us; a write is the disk's own once the guest flushed it.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <string>
#include <vector>

#include "guest-fixup/fixup.hpp"
#include "lib/disks/block.hpp"

namespace slipway::console {

struct ApplianceMachine {
    std::string qemu = "qemu-system-x86_64";
    std::filesystem::path kernel, ramdisk;
    std::string accelerator = "tcg";
    unsigned memory_mib = 1024, processors = 1;
};

// How long is waited for a sign of life; an emulated machine on a busy one is slow.
struct Patience {
    std::chrono::milliseconds start{600'000}, silence{180'000}, end{60'000};
};

struct ApplianceJob {
    fixup::RepairRequest request;                  // with the disks' names for people
    std::vector<disks::BlockDevice*> disks;        // request.disk, then request.more_disks
    std::function<void(const std::string&)> note;  // a step of the repair, or of the boot before it, begins
    const std::atomic<bool>* cancelled = nullptr;
    Patience patience;
};

// Pure. disk_fds and port_fd are open in QEMU.
std::vector<std::string> appliance_command(const ApplianceMachine& machine, const std::vector<int>& disk_fds,
                                           bool read_only, int port_fd);

// The disks are flushed at the end. Errors: the repair's (fixup.cancelled: all is as it was), console.appliance-*,
// console.repair-interrupted, the disk's.
Result<fixup::RepairReport> repair_in_appliance(const ApplianceMachine& machine, const ApplianceJob& job);

}  // namespace slipway::console
