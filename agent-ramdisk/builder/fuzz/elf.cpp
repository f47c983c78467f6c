// SPDX-License-Identifier: GPL-3.0-or-later
// What was read from an ELF file is read from its stripped copy as well.
#include <cstdlib>

#include "agent-ramdisk/builder/elf.hpp"

using namespace slipway;
using namespace slipway::builder;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    ByteView file = std::as_bytes(std::span(data, size));
    auto needs = read_elf(file);
    if (!needs.ok()) return 0;
    if (needs->loaded_size > size) std::abort();
    auto stripped = strip_elf(file, *needs);
    if (stripped.size() > size) std::abort();
    return 0;
}
