// SPDX-License-Identifier: GPL-3.0-or-later
// What will be made of an inventory under the switches given: pure data, from which the files are rendered.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gatherhw/model.hpp"
#include "lib/base/result.hpp"
#include "vmscript/switches.hpp"

namespace slipway::vmscript {

// The smallest VM memory in which the agent is proven to deploy and repair (docs/measurements.md; the test
// journey_scripts runs with it).
inline constexpr std::uint64_t kAgentMemoryFloorMib = 192;
inline constexpr std::uint64_t kMaxMemoryMib = 1u << 20;
inline constexpr std::uint32_t kMaxProcessors = 64;
inline constexpr std::uint64_t kGb = 1ull << 30;
inline constexpr std::uint64_t kMaxIdeDisk = 127 * kGb;  // what a 28-bit IDE controller reaches
inline constexpr std::uint64_t kMaxDisk = 2040 * kGb;    // what a dynamic VHD can hold
inline constexpr std::size_t kMaxIdeDisks = 4, kMaxSataDisks = 6, kMaxScsiDisks = 7, kMaxVirtioDisks = 16;
inline constexpr std::size_t kMaxNics = 4;

enum class Controller { Ide, Sata, Scsi, Virtio };
std::string_view name_of(
    Controller controller);  // "ide", "sata", "scsi-lsi", "virtio-blk": as guest-fixup and the VM say
std::size_t most_disks(Controller controller);

struct PlannedDisk {
    std::string source_name;  // "sda"
    std::string serial;       // empty unless it names this disk alone
    std::uint64_t size = 0;   // bytes
    std::string vhd;          // path on the VM host
    bool operator==(const PlannedDisk&) const = default;
};

inline constexpr std::string_view kUsbDisk = "a USB disk";
struct LeftOutDisk {
    std::string name, why;  // kUsbDisk, or what the operator asked
    bool operator==(const LeftOutDisk&) const = default;
};

struct PlannedNic {
    std::string name;  // as the repair knows it: "ens18", of a Windows its connection, "Local Area Connection"
    std::string old_mac, new_mac;
    bool operator==(const PlannedNic&) const = default;
};

struct Plan {
    std::string image;  // name
    std::string name, vm_host, network, config_path, disk_path;
    std::string source_mac;  // the adapter that boots from the network
    std::string os_name;
    std::uint64_t memory_mib = 0;
    std::uint32_t processors = 1;
    Controller controller = Controller::Ide;
    bool dynamic_disks = false;
    std::vector<PlannedDisk> disks;
    std::vector<LeftOutDisk> left_out;
    std::vector<std::string> excluded_volumes;  // partitions of the disks kept: "SERIAL:3", "sda3" without a serial
    std::vector<PlannedNic> nics;               // the first is source_mac's
    PostDeploy post_deploy = PostDeploy::StayInAgent;
    std::string patch_directory, service_driver_state;
    std::vector<std::string> driver_directories;
    std::optional<patches::FixHal> fix_hal;  // unless it was given, the repair's own choice
    bool suppress_console = false;
    bool windows = false;
    bool uefi = false;                           // the VM's firmware, as the source's
    std::string secure_boot = "unknown";         // of the source's firmware: unknown, off, on
    std::vector<std::string> hardware_services;  // of hardware_services()
    bool services_known = true;                  // the inventory has services at all
    std::vector<std::string> notes;              // for the readme
};

// Which disks migrate, and which volumes of them do not.
struct DiskChoice {
    std::vector<const gatherhw::Disk*> kept;
    std::vector<LeftOutDisk> left_out;
    std::vector<std::string> excluded_volumes;
    std::vector<std::string> problems;  // names that fit nothing, volumes that cannot be left out
};
DiskChoice choose_disks(const gatherhw::Inventory& inventory, const std::vector<std::string>& excluded);

// auto: IDE when every disk fits there and there are not too many. Else SCSI; but the VM's UEFI firmware has no driver
// for it, nor has Windows since Vista: for these SATA, or virtio when a UEFI machine with Linux has more disks than
// that.
Controller choose_controller(ControllerChoice choice, const std::vector<const gatherhw::Disk*>& disks,
                             const gatherhw::Inventory& inventory);

// The wired adapters, the one that boots from the network first; at most kMaxNics.
std::vector<const gatherhw::NetworkAdapter*> choose_nics(const gatherhw::Inventory& inventory,
                                                         const std::optional<MacAddress>& admin_mac);
// The address a VM and the network see: the burnt-in one where known.
std::string hardware_mac(const gatherhw::NetworkAdapter& adapter);
// A name that the repair takes, and that lists of adapters with '=' and ';' can hold.
bool names_adapter(std::string_view name);
// Of choose_nics, with the addresses that the VM's get.
std::vector<PlannedNic> planned_nics(const gatherhw::Inventory& inventory, const Switches& switches);

// Services of the source that look after its metal: those that the repair of a Windows switches off, by the drivers
// file (its text) or its own lists; of a Linux those that NAME_PostDeploy.sh does. Errors: vmscript.bad-value.
Result<std::vector<std::string>> hardware_services(const gatherhw::Inventory& inventory,
                                                   const std::string& drivers_file);

// The inventory must have passed the checks. Errors: vmscript.not-fit.
Result<Plan> make_plan(const gatherhw::Inventory& inventory, const Switches& switches);

bool valid_name(std::string_view name);

}  // namespace slipway::vmscript
