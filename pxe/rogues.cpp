// SPDX-License-Identifier: GPL-3.0-or-later
#include "pxe/rogues.hpp"

#include <algorithm>

#include <fmt/format.h>

namespace slipway::pxe {

std::string describe(const Rogue& r) {
    if (!r.addresses) return fmt::format("{} answers boot clients on {}", r.server.text(), r.interface);
    return fmt::format("{} answers DHCP{} on {}, a segment of ours", r.server.text(),
                       r.boots ? " and boot clients" : "", r.interface);
}

std::optional<Rogue> Rogues::heard(const Overheard& answer, bool own_segment, const std::vector<Ipv4Address>& ours,
                                   Instant now, WallTime wall) {
    auto is_ours = [&](Ipv4Address a) { return std::find(ours.begin(), ours.end(), a) != ours.end(); };
    // A DHCP server that sends boot clients to us is as it should be.
    const bool boots = answer.pxe && !is_ours(answer.next_server);
    if (answer.server.is_zero() || is_ours(answer.server) || (!own_segment && !boots)) return std::nullopt;
    auto it = std::find_if(known_.begin(), known_.end(), [&](const Known& k) {
        return k.rogue.server == answer.server && k.rogue.interface == answer.interface;
    });
    const bool is_new = it == known_.end();
    if (is_new) {
        if (known_.size() >= kMany) return std::nullopt;
        known_.push_back({Rogue{answer.server, answer.interface}, now});
        it = std::prev(known_.end());
    }
    it->rogue.addresses |= own_segment;
    it->rogue.boots |= boots;
    it->rogue.last = wall;
    if (!is_new && now - it->told < std::chrono::hours(1)) return std::nullopt;
    it->told = now;
    return it->rogue;
}

std::vector<Rogue> Rogues::list() const {
    std::vector<Rogue> out;
    for (const auto& k : known_) out.push_back(k.rogue);
    return out;
}

}  // namespace slipway::pxe
