// SPDX-License-Identifier: GPL-3.0-or-later
// The rule of network identity: names stay, addresses move. Each mapped adapter gets the name it had, each line that
// selects a card by the old address selects the new one; what cannot be made right is said. Pure: files in, edits and
// warnings out. Planned again on its own result it plans nothing.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "guest-fixup/fixup.hpp"
#include "guest-fixup/network/config.hpp"

namespace slipway::fixup {

// Who gives an interface its name in this guest.
enum class Naming {
    Links,   // systemd-udevd by .link files
    Rules,   // udev by rules: older than .link files, or they are switched off
    Mactab,  // no udev: busybox mdev and nameif
};

struct GuestTraits {
    Naming naming = Naming::Links;
    bool swaps_names = false;  // udev so old that two cards may change names against each other
    bool systemd = false;
    std::string asks_dhcp;           // the program that does for a card that nothing configures; empty: none
    std::vector<MacAddress> set_up;  // new adapters that the personality configures, after this
    bool cloud_init = false;         // it is there and not switched off
    bool connman = false;
};

struct FileEdit {
    std::string what, path;
    std::optional<std::string> text;  // nothing: the file goes
};

struct NetworkPlan {
    std::vector<FileEdit> edits;  // only what differs
    std::vector<std::string> warnings;
};

NetworkPlan plan_network(const std::vector<ConfigFile>& files, const std::vector<NicMapping>& nics,
                         const GuestTraits& traits);

inline constexpr const char* kPersistentRules = "/etc/udev/rules.d/70-persistent-net.rules";
inline constexpr const char* kLinkDirectory = "/etc/systemd/network";
inline constexpr const char* kMactab = "/etc/mactab";
inline constexpr const char* kCloudInitOff = "/etc/cloud/cloud.cfg.d/99-slipway-network.cfg";

}  // namespace slipway::fixup
