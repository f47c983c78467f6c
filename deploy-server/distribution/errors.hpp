// SPDX-License-Identifier: GPL-3.0-or-later
// What the Image Distribution Service refuses; what it has in common with the server stands in
// deploy-server/errors.hpp.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::server::errors {

// Questions for chunks that are not answered now (503: the agent asks again).
inline constexpr ErrorId kAskedAgain{"server.asked-again",
                                     "Nothing to do: the machine's later question is answered in its place.", true};
inline constexpr ErrorId kStillAnswering{"server.still-answering",
                                         "Nothing to do: it asks again by itself, and is answered when it has read the "
                                         "former answers, or a minute after it stopped to.",
                                         true};
inline constexpr ErrorId kBusy{"server.busy", "Nothing to do: the machine asks again by itself.", true};

inline constexpr ErrorId kRate{
    "server.rate",
    "A rate is in bits a second: write 300M or 1G, or 500k; the least is 100k. `off` (0 in the API) is no ceiling."};

}  // namespace slipway::server::errors
