// SPDX-License-Identifier: GPL-3.0-or-later
// Whether bytes from an agent are a picture that a browser may be given.
#pragma once

#include "lib/base/bytes.hpp"

namespace slipway::server {

// A whole PNG (ISO/IEC 15948 §5): signature, IHDR with a size first, chunks whose checks are right, IEND and nothing
// after it. The pixels are not unpacked.
bool is_png(ByteView bytes);

}  // namespace slipway::server
