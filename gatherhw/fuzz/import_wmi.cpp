// SPDX-License-Identifier: GPL-3.0-or-later
#include "gatherhw/fuzz/import_any.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    return slipway::gatherhw::import_one(slipway::gatherhw::DumpKind::Wmi, data, size);
}
