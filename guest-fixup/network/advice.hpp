// SPDX-License-Identifier: GPL-3.0-or-later
// What a repair cannot make right about a guest's network, in a sentence each: what will happen, and what to do. Pure.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "guest-fixup/network/config.hpp"
#include "guest-fixup/network/plan.hpp"

namespace slipway::fixup {

struct KnownNic {
    std::string name;  // empty: nobody knows it
    std::optional<MacAddress> old_mac;
    MacAddress new_mac;
};

struct Situation {
    const std::vector<ConfigFile>& files;
    const std::vector<Interface>& interfaces;  // before the repair
    const std::vector<KnownNic>& nics;
    const MacMap& macs;  // what the repair moves
    const GuestTraits& traits;
};

// after: the files with the repair's edits.
std::vector<std::string> advice(const Situation& now, const std::vector<ConfigFile>& after);

// A file that cloud-init makes again on a machine it does not know.
bool written_by_cloud_init(const std::vector<ConfigFile>& files);

}  // namespace slipway::fixup
