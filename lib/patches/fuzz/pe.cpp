// SPDX-License-Identifier: GPL-3.0-or-later
// Versions of program files: no bytes break the reader, and what is taken for a system file has a right checksum.
#include <cstdint>
#include <cstdlib>

#include "lib/patches/library.hpp"

using namespace slipway;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const ByteView file = std::as_bytes(std::span(data, size));
    const auto version = patches::read_pe_version(file);
    const auto key = patches::key_of(file);
    if (!key) return 0;
    if (!version || key->version != version->version || key->name != version->original_name) std::abort();
    if (patches::pe_checksum(file).value() != version->checksum) std::abort();
    return 0;
}
