// SPDX-License-Identifier: GPL-3.0-or-later
// The machine an agent works on: its disks, what it says of itself, its power. The real one, or files
// given as disks, with which the agent is tested and used on a rescue system.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include <boost/json.hpp>

#include "lib/base/result.hpp"
#include "lib/disks/block.hpp"
#include "lib/disks/device_info.hpp"

namespace slipway::agent {

enum class PowerAction { None, Shutdown, Reboot };

class Machine {
public:
    virtual ~Machine() = default;
    // Disks in the machine's order, without removable ones.
    virtual Result<std::vector<disks::DiskDevice>> disks() = 0;
    // A source: opened O_RDONLY, and a block device is made read-only in the kernel first. A disk in use
    // read-write is agent.disk-in-use.
    virtual Result<std::unique_ptr<disks::BlockDevice>> open_source(const disks::DiskDevice& disk) = 0;
    virtual Result<std::unique_ptr<disks::BlockDevice>> open_target(const disks::DiskDevice& disk) = 0;
    // The kernel looks at the partition table again.
    virtual Status reread(const disks::DiskDevice& disk) = 0;
    // {memory_bytes, cpus, vendor, product, serial, bios_vendor, bios_version, firmware, secure_boot, macs[],
    // modaliases[], disks[{name, serial, model, size}]}
    virtual boost::json::object hardware() = 0;
    virtual std::uint64_t memory_bytes() = 0;  // installed
    virtual std::uint64_t memory_available() = 0;
    // Does not return on a real machine.
    virtual void power(PowerAction action) = 0;
};

struct FirmwareFacts {
    std::string kind;         // bios, or uefi-64, uefi-32: whose boot loaders the machine runs
    std::string secure_boot;  // unknown | off | on
};
FirmwareFacts read_firmware(const std::filesystem::path& efi);  // "/sys/firmware/efi"

std::unique_ptr<Machine> real_machine();
// power() ends the process instead.
std::unique_ptr<Machine> file_machine(std::vector<std::string> files);

}  // namespace slipway::agent
