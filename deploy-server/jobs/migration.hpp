// SPDX-License-Identifier: GPL-3.0-or-later
// A whole migration as one job with children in order: capture, create, deploy, first boot. Pure.
#pragma once

#include "deploy-server/jobs/hub.hpp"

namespace slipway::server {

struct Migration {
    std::string name;  // of the machine, its VM and (unless given) its image
    std::vector<std::string> source_macs;
    std::string source_device;  // empty: name
    std::string source_power_driver = "prompt";
    std::vector<std::string> source_power_command;
    std::string source_vmhost;                   // of a source that is a VM
    std::string source_secure_boot = "unknown";  // as of DeviceRow: which loader it is sent
    std::string image;                           // empty: name
    std::string disks, exclude;                  // of capture-image; empty: all, none
    std::string vm_definition;                   // XML
    std::string vmhost;                          // empty: the only one
    std::string network = "VM0";
    std::string target_controller = "ide";
    std::string firmware = "bios";  // that of the VM
    // 1: the VM stays off; 0, 2: it is started from its disk. As one job there is nobody between agent and first boot
    // who would run the Reboot template, so staying in the agent (0) lasts until the first boot begins.
    int postdeployaction = 0;
    std::string service_driver_file;  // for the repair; empty: none
    sequences::Values carried;  // variables that no task of this version needs: patch-directory, driver-directories, …
    struct Nic {
        std::string name, old_mac, new_mac;
    };
    std::vector<Nic> nics;
    bool nonetencrypt = false;
};

// The source's record, as the capture makes it.
DeviceSpec source_spec(const Migration& migration);

// The source's device is released and deleted after the capture, so that the VM may have its MACs.
JobRequest plan_migration(const Migration& migration);

}  // namespace slipway::server
