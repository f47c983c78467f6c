// SPDX-License-Identifier: GPL-3.0-or-later
#include <cstdint>
#include <cstdlib>

#include "deploy-server/jobs/png.hpp"

using namespace slipway;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView bytes(reinterpret_cast<const std::byte*>(data), size);
    // A part of a picture is none.
    if (server::is_png(bytes) && server::is_png(bytes.first(size - 1))) std::abort();
    return 0;
}
