// SPDX-License-Identifier: GPL-3.0-or-later
// The command line in both spellings: --hwinfofile x.xml, --hwinfofile=x.xml and VSMT's /hwInfoFile:x.xml. A VSMT
// switch is a token /Name or /Name:value with a known Name, any case; everything else that starts with / is a path.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/net.hpp"
#include "lib/base/result.hpp"
#include "lib/patches/fix_hal.hpp"

namespace slipway::vmscript {

enum class Command { None, Help, Version, Validate, Generate, ListRules };
enum class ControllerChoice { Auto, Ide, Sata, Scsi, Virtio };
enum class PostDeploy { StayInAgent = 0, ShutDown = 1, Restart = 2 };
std::string_view name_of(ControllerChoice choice);  // "auto", "ide", "sata", "scsi", "virtio"

struct Switches {
    Command command = Command::None;
    bool json = false;
    std::string hw_info_file;
    std::string name;               // of the VM, its device record and its image
    std::string vm_config_path;     // directory on the VM host
    std::string virtual_disk_path;  // directory on the VM host
    std::string vm_host;            // --hwdestvs: device name of the VM host
    std::string task_sequence_path = ".";
    std::string network = "VM0";
    bool dynamic_disks = false;
    std::optional<MacAddress> admin_mac;
    bool dynamic_macs = false;
    std::optional<std::uint64_t> memory_mib;
    PostDeploy post_deploy = PostDeploy::StayInAgent;
    std::vector<std::string> excluded_drives;
    bool force = false;
    ControllerChoice controller = ControllerChoice::Auto;
    std::string patch_directory;                  // absolute
    std::vector<std::string> driver_directories;  // absolute
    std::optional<patches::FixHal> fix_hal;
    std::string service_driver_state;  // a file; its text after load_files()
    bool suppress_console = false;

    // ---- validation: what is known besides the inventory, and what is shown
    std::string device_list, agent_drivers;  // files; their texts after load_files()
    std::optional<std::uint64_t> store_free, target_free, target_memory_mib;
    std::optional<std::uint32_t> target_processors;
    std::string store_disk, target_disk;  // "hercules:sda"
    std::string html_file;
    std::vector<std::string> groups;  // empty: all
    bool only_problems = false;
};

// One row of the table that parser, help and tests read.
struct SwitchRow {
    std::string_view name;   // lower case
    std::string_view value;  // what it takes, for the help; empty: a flag
    std::string_view help;
    bool required = false;  // with --hwgeneratep2v
    Status (*apply)(Switches&, std::string_view value);
    bool value_optional = false;  // "" is then applied
};
std::span<const SwitchRow> switch_rows();

// arguments without the program's name. Errors: vmscript.usage (unknown switch, value missing or too many, no or two
// commands, every missing required switch named), vmscript.bad-value.
Result<Switches> parse_switches(const std::vector<std::string>& arguments);

std::string help_text();

}  // namespace slipway::vmscript
