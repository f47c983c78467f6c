// SPDX-License-Identifier: GPL-3.0-or-later
// First byte: the kind. What is added is there once, and taken out again it leaves the text as it was.
#include <cstdlib>

#include "dhcp-helper/coexist.hpp"
#include "lib/base/bytes.hpp"

using namespace slipway;
using namespace slipway::dhcp::coexist;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) return 0;
    auto kind = static_cast<Kind>(data[0] % 3);
    std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    (void)kind_of("x", text);
    (void)check(kind, text, data[0] & 4);
    (void)remove(kind, text);
    auto added = add(kind, text);
    if (!added.ok() || *added == text) return 0;
    if (add(kind, *added).value() != *added) std::abort();
    if (remove(kind, *added).value() != text) std::abort();
    if (!check(kind, *added, true).ok()) std::abort();
    return 0;
}
