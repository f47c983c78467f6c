// SPDX-License-Identifier: GPL-3.0-or-later
// QEMU's command line for a machine. Pure. QEMU is started in the machine's directory: names of sockets and logs in it
// are relative, since a socket address holds only 107 bytes.
#pragma once

#include <string>
#include <vector>

#include "vmm-target/target.hpp"

namespace slipway::vmm {

inline constexpr const char* kSocketName = "qmp.sock";
// A second monitor: QEMU serves one client at a time on each, and who waits for a boot proof listens for long.
inline constexpr const char* kWatchName = "watch.sock";
inline constexpr const char* kVariablesName = "vars.fd";
inline constexpr const char* kFirmwareCode = "/usr/share/OVMF/OVMF_CODE_4M.fd";
inline constexpr const char* kFirmwareVariables = "/usr/share/OVMF/OVMF_VARS_4M.fd";

struct DiskFile {
    std::string path;     // absolute
    bool undo = false;    // a qcow2 overlay instead of the VHD
    bool linked = false;  // a block device
};

struct QemuPlan {
    std::string program, accelerator;  // kvm or tcg
    std::string pid_file;              // absolute: it tells the process from others
    std::vector<DiskFile> disks;       // one for each of the definition's
    std::vector<std::string> taps;     // one for each adapter; empty: no cable
    BootFrom boot = BootFrom::Disk;
};

std::vector<std::string> accelerator_arguments(const std::string& accelerator);
std::vector<std::string> qemu_command(const VmDefinition& definition, const QemuPlan& plan);

}  // namespace slipway::vmm
