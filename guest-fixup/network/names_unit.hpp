// SPDX-License-Identifier: GPL-3.0-or-later
// Two cards that the kernel called eth0 and eth1 the wrong way round: udev does not change them against each other, so
// a unit of the guest does, by way of free names, before anything configures the network. It does nothing when the
// names are right, which is nearly always.
#pragma once

#include <string>
#include <vector>

#include "lib/base/net.hpp"

namespace slipway::fixup {

struct NamedCard {
    std::string name;
    MacAddress mac;
};

inline constexpr const char* kNamesUnit = "/etc/systemd/system/slipway-interface-names.service";
// Wants the unit; a file, so that it can be written and taken back like any other.
inline constexpr const char* kNamesWanted = "/etc/systemd/system/sysinit.target.d/slipway-interface-names.conf";

// Shell, for arguments "ADDRESS=NAME".
std::string names_script();
std::string names_unit(const std::vector<NamedCard>& cards);
std::string names_wanted();

}  // namespace slipway::fixup
