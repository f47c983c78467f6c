// SPDX-License-Identifier: GPL-3.0-or-later
// A hostile manifest: no crash, and what the reader accepts keeps its own counts.
#include <cstdlib>

#include "imagestore/manifest.hpp"

using namespace slipway;
using namespace slipway::imagestore;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    ManifestView view(std::as_bytes(std::span(data, size)));
    auto summary = summarize(view);
    if (summary.ok())
        for (const auto& disk : summary->disks)
            if (disk.data_chunks + disk.zero_chunks + disk.unused_chunks != disk.disk.chunk_count()) std::abort();
    return 0;
}
