// SPDX-License-Identifier: GPL-3.0-or-later
// The errors of a multicast session.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::multicast::errors {

inline constexpr ErrorId kBadPacket{
    "multicast.bad-packet", "Nothing to do: it was dropped. Many of them: see who else sends to the group.", false};
inline constexpr ErrorId kForged{
    "multicast.forged", "Nothing to do: it was dropped. Many of them: someone injects packets on this segment.", false};
inline constexpr ErrorId kReplayed{"multicast.replayed", "Nothing to do: it was dropped.", false};
inline constexpr ErrorId kNoSegment{
    "multicast.no-segment",
    "The image comes by unicast. For multicast name an address of the server on the machines' segment, of the group's "
    "family: slipway distribution set --interface ADDRESS --group GROUP.",
    false};

inline constexpr ErrorId kNoPort{
    "multicast.no-port",
    "The image comes by unicast. Each session takes one port for the machines' reports: slipway distribution set "
    "--report-ports FIRST-LAST, as many as there are sessions at a time.",
    true};

}  // namespace slipway::multicast::errors
