// SPDX-License-Identifier: GPL-3.0-or-later
// Cabinets in a program, and sets of them: each place lies in the file, none in another one, and nothing that comes out
// is larger than what was allowed.
#include <cstdint>
#include <cstdlib>

#include "lib/patches/archive.hpp"

using namespace slipway;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const auto program = patches::bytes_in_memory(std::as_bytes(std::span(data, size)));
    std::uint64_t end = 0;
    const auto places = patches::find_cabinets(*program);
    if (places.size() > patches::kMostCabinets) std::abort();
    std::vector<std::unique_ptr<patches::ArchiveBytes>> parts;
    std::vector<const patches::ArchiveBytes*> set;
    for (const auto& place : places) {
        if (place.offset < end || place.size == 0 || place.offset + place.size > size) std::abort();
        end = place.offset + place.size;
        parts.push_back(patches::bytes_within(*program, place.offset, place.size));
        set.push_back(parts.back().get());
        (void)patches::links_of(*set.back()).ok();
    }
    const patches::ExtractLimits limits{.file = 256u << 10, .total = 512u << 10, .folder = 1u << 20, .files = 4};
    const auto all = [](std::string_view) { return true; };
    for (const auto& out : {patches::extract_set(set, all, limits), patches::extract(*program, all, limits)}) {
        if (!out) continue;
        for (const auto& file : out->files)
            if (file.content.size() > limits.file) std::abort();
    }
    return 0;
}
