// SPDX-License-Identifier: GPL-3.0-or-later
// Other servers that are heard while ours runs: on a segment of ours whoever answers DHCP at all, elsewhere whoever
// answers boot clients. Heard are broadcasts and what passes this machine; a switch keeps unicast answers from us.
// Pure, of bounded size.
#pragma once

#include "pxe/trace.hpp"

namespace slipway::pxe {

struct Rogue {
    Ipv4Address server;
    std::string interface;
    bool addresses = false;  // it answers DHCP on a segment of ours
    bool boots = false;      // it answers boot clients, or names a boot file
    WallTime last{};
};
std::string describe(const Rogue& rogue);  // "10.99.0.9 answers DHCP on br0, a segment of ours"

class Rogues {
public:
    static constexpr std::size_t kMany = 32;  // more are made up

    // One that is worth a line: new, or not told of for an hour.
    std::optional<Rogue> heard(const Overheard& answer, bool own_segment, const std::vector<Ipv4Address>& ours,
                               Instant now, WallTime wall);
    std::vector<Rogue> list() const;

private:
    struct Known {
        Rogue rogue;
        Instant told;
    };
    std::vector<Known> known_;
};

}  // namespace slipway::pxe
