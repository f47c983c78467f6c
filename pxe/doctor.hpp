// SPDX-License-Identifier: GPL-3.0-or-later
// Which hop of a network boot failed, from what was seen of it. Pure: events, what is known besides, and the time.
#pragma once

#include <span>

#include "pxe/findings.hpp"
#include "pxe/trace.hpp"

namespace slipway::pxe {

struct LinkState {  // of one of our interfaces
    std::string interface;
    int speed_mbit = 0;  // 0: not known
    bool half_duplex = false;
};

// What the server knows of the machine and of itself.
struct BootContext {
    bool known = false, controlled = false;
    std::string device;                                     // its name when known
    std::vector<Ipv4Address> ours;                          // addresses of the server
    std::vector<std::pair<Ipv4Address, unsigned>> subnets;  // of its interfaces: address and prefix length
    std::vector<Ipv4Address> addresses;                     // the machine's, from inventory, earlier boots and agents
    std::vector<LinkState> links;
    std::vector<std::string> cards;           // of the inventory: "8086:100e (e1000)"
    std::vector<std::string> without_driver;  // those that the ramdisk has no driver for
    std::optional<WallTime> since;            // what is older belongs to another boot
    bool stopped = false;                     // somebody says that it hangs: no hop is waited for
};

enum class Outcome {
    Booted,     // its agent is ready
    LocalDisk,  // it was sent to its local disk, as decided
    Underway,   // the next hop has time left
    Failed,     // the finding says where
};
std::string_view name_of(Outcome outcome);

struct Finding {
    const FindingRow* row = nullptr;
    std::string text;                     // of this case, with addresses, files, bytes
    std::vector<std::uint64_t> evidence;  // ids of events
};

struct Diagnosis {
    Outcome outcome = Outcome::Underway;
    Hop reached = Hop::Discover;     // the last one that went well; Discover also when none did
    std::optional<Finding> finding;  // when Failed
    std::optional<WallTime> begun;   // the first packet of the boot that this speaks of
    unsigned attempts = 0;           // boots seen, this one with them
};

// Events of one machine, by id. Of several boots it speaks of the last; while that has only begun, of the one before,
// when that one failed.
Diagnosis diagnose(std::span<const BootEvent> events, WallTime now, const BootContext& context);

}  // namespace slipway::pxe
