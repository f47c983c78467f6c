// SPDX-License-Identifier: GPL-3.0-or-later
// A hostile chunk: no crash, never more than a chunk comes out. Pack structures beside it.
#include <cstdlib>

#include "imagestore/codec.hpp"
#include "imagestore/pack.hpp"

using namespace slipway;
using namespace slipway::imagestore;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto bytes = std::as_bytes(std::span(data, size));
    Bytes plain;
    if (ChunkDecoder().decode_unchecked(bytes, plain).ok() && plain.size() > kChunkBytes) std::abort();
    (void)parse_pack_header(bytes).ok();
    (void)parse_record_header(bytes).ok();
    auto footer = parse_footer(bytes, size);
    if (footer.ok()) (void)parse_index(bytes, *footer).ok();
    return 0;
}
