// SPDX-License-Identifier: GPL-3.0-or-later
// Which of a machine's network cards and disk controllers have no driver: pure. A machine is refused before it boots
// when it would come up without its network, or with disks that a capture would silently leave out.
#pragma once

#include <set>
#include <string>
#include <vector>

#include "agent-ramdisk/builder/modules.hpp"
#include "gatherhw/model.hpp"

namespace slipway::builder {

struct MissingDriver {
    enum class Kind { Network, Storage };
    Kind kind = Kind::Network;
    std::string id;        // "8086:1533", as lspci -nn and the drop-in's file `without-driver` say it
    std::string modalias;  // what a driver's alias must match
    std::string name;      // "eth0 52:54:00:51:00:01", "controller1"; empty: only the bus spoke of it
    bool fatal = false;    // the machine is not booted
    std::string why;       // why it is fatal, or why not
};

struct DriverCheck {
    std::vector<MissingDriver> missing;
    bool may_boot() const;
    std::string text() const;  // the fatal ones in a sentence; empty when it may boot
};

// macs: those the device is known by, the first of them boots. accepted: ids the operator does without.
// A machine of which nothing is known has nothing missing.
DriverCheck check_drivers(const ModuleIndex& index, const gatherhw::Inventory& machine,
                          const std::vector<std::string>& macs = {}, const std::set<std::string>& accepted = {});

// What an operator does about it.
std::string advice(const MissingDriver& missing, const std::string& kernel_version);

// {"kernel_version", "missing": [{kind, id, modalias, name, fatal, why, advice}]}: as vmscript --agentdrivers reads it,
// and as the server says it of a ramdisk.
std::string to_json(const DriverCheck& check, const std::string& kernel_version);

// The ids of the drop-in's file: a line each, VVVV:DDDD, '#' starts a comment. Other lines are not ids and are left
// out.
std::set<std::string> read_accepted(std::string_view text);

}  // namespace slipway::builder
