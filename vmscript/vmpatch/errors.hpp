// SPDX-License-Identifier: GPL-3.0-or-later
// vmpatch's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::vmpatch::errors {

inline constexpr ErrorId kUsage{"vmpatch.usage", "See vmpatch --help for every switch, with examples."};
inline constexpr ErrorId kNothing{"vmpatch.nothing",
                                  "Name what has them: I386 of a CD, a service pack's .exe or the folder it was "
                                  "unpacked into with /x, Windows' Driver Cache or ServicePackFiles."};

}  // namespace slipway::vmpatch::errors
