// SPDX-License-Identifier: GPL-3.0-or-later
// Cabinets, SZDD and KWAJ through libmspack: nothing that comes out is larger than what was allowed.
#include <cstdint>
#include <cstdlib>

#include "lib/patches/archive.hpp"

using namespace slipway;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto archive = patches::bytes_in_memory(std::as_bytes(std::span(data, size)));
    const patches::ExtractLimits limits{.file = 256u << 10, .total = 512u << 10, .folder = 1u << 20, .files = 4};
    const auto out = patches::extract(
        *archive, [](std::string_view) { return true; }, limits);
    if (!out) return 0;
    if (out->files.size() > limits.files) std::abort();
    for (const auto& file : out->files)
        if (file.content.size() > limits.file) std::abort();
    return 0;
}
