// SPDX-License-Identifier: GPL-3.0-or-later
// How often one client is answered.
#pragma once

#include "lib/base/flood.hpp"
#include "lib/base/log.hpp"
#include "lib/base/net.hpp"

namespace slipway::dhcp {

// Of one hardware address: from ROM to loader to agent a machine asks some fifteen times.
inline constexpr FloodLimits kClientLimits{.rate = 4, .burst = 40, .known = 16'384};

// Says so in the log when it begins to refuse.
inline bool admitted(FloodGuard& guard, const MacAddress& client, Instant now = Instant::clock::now()) {
    std::uint64_t sender = 0;
    for (auto octet : client.octets) sender = sender << 8 | octet;
    auto verdict = guard.on_request(sender, now);
    if (verdict == FloodGuard::Verdict::RefuseAndSay)
        log::warning("dhcp", "{} asks too often, not answered for now", client.text());
    return verdict == FloodGuard::Verdict::Admit;
}

}  // namespace slipway::dhcp
