// SPDX-License-Identifier: GPL-3.0-or-later
// vmscript's error catalogue.
#pragma once

#include "lib/base/result.hpp"

namespace slipway::vmscript::errors {

inline constexpr ErrorId kUsage{"vmscript.usage", "See vmscript --help for every switch, with examples."};
inline constexpr ErrorId kBadValue{"vmscript.bad-value",
                                   "Correct the switch named; vmscript --help says what it takes."};
inline constexpr ErrorId kNotFit{"vmscript.not-fit",
                                 "Correct what the validation named (vmscript --hwvalidate), then generate again."};
inline constexpr ErrorId kEdited{
    "vmscript.edited",
    "Keep your changes by copying them elsewhere, then give --forcegenerate to write the files anew."};

}  // namespace slipway::vmscript::errors
