// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/marvin32.hpp"

#include <bit>

#include "guest-fixup/windows/regf.hpp"

namespace slipway::fixup::windows {

std::uint64_t marvin32(std::uint64_t seed, std::string_view data) {
    auto low = static_cast<std::uint32_t>(seed);
    auto high = static_cast<std::uint32_t>(seed >> 32);
    const auto mix = [&](std::uint32_t word) {
        low += word;
        high ^= low;
        low = std::rotl(low, 20) + high;
        high = std::rotl(high, 9) ^ low;
        low = std::rotl(low, 27) + high;
        high = std::rotl(high, 19);
    };
    std::size_t at = 0;
    for (; data.size() - at >= 4; at += 4) mix(regf::le32(data, at));
    // The rest, closed by a 0x80.
    std::uint32_t last = 0x80;
    for (auto rest = data.size() - at; rest-- > 0;) last = last << 8 | static_cast<std::uint8_t>(data[at + rest]);
    mix(last);
    mix(0);
    return std::uint64_t{high} << 32 | low;
}

}  // namespace slipway::fixup::windows
