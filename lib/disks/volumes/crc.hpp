// SPDX-License-Identifier: GPL-3.0-or-later
// The two reflected CRCs of volume managers: LVM's (polynomial of IEEE 802.3, its own start, not inverted) and
// device-mapper's crc32c (Castagnoli, start ~0, not inverted).
#pragma once

#include <array>
#include <cstdint>

#include "lib/base/bytes.hpp"

namespace slipway::disks {

template <std::uint32_t Polynomial>
std::uint32_t crc_reflected(ByteView bytes, std::uint32_t crc) {
    static constexpr auto kTable = [] {
        std::array<std::uint32_t, 256> table{};
        for (std::uint32_t i = 0; i < 256; ++i) {
            table[i] = i;
            for (int bit = 0; bit < 8; ++bit) table[i] = (table[i] >> 1) ^ (table[i] & 1 ? Polynomial : 0);
        }
        return table;
    }();
    for (auto b : bytes) crc = kTable[(crc ^ std::to_integer<std::uint8_t>(b)) & 0xff] ^ (crc >> 8);
    return crc;
}

inline std::uint32_t lvm_crc(ByteView bytes, std::uint32_t previous = 0xf597a6cf) {
    return crc_reflected<0xedb88320>(bytes, previous);
}
inline std::uint32_t dm_crc32c(ByteView bytes) { return crc_reflected<0x82f63b78>(bytes, 0xffffffff); }

}  // namespace slipway::disks
