// SPDX-License-Identifier: GPL-3.0-or-later
// Marvin32, the hash of a registry log's entries. Written from the public description in Microsoft's own patent
// US 8,255,686 and the test values published for .NET's string hash (MIT); seeds differ, the function is one.
#pragma once

#include <cstdint>
#include <string_view>

namespace slipway::fixup::windows {

std::uint64_t marvin32(std::uint64_t seed, std::string_view data);

// msuhanov/regf, "Log entries": 82 EF 4D 88 7A 4E 55 C5, the highest first.
inline constexpr std::uint64_t kLogSeed = 0x82EF4D887A4E55C5;

}  // namespace slipway::fixup::windows
