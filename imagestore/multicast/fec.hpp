// SPDX-License-Identifier: GPL-3.0-or-later
// How an encoded chunk is cut into blocks of symbols, and the erasure code of a block: Reed-Solomon over GF(2^8), as
// RFC 5510 speaks of it, by ISA-L with a Cauchy matrix: any k of a block's symbols give it back.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "lib/base/bytes.hpp"

namespace slipway::multicast {

inline constexpr unsigned kMaxSource = 64;    // symbols of a block before parity
inline constexpr unsigned kMaxSymbols = 255;  // of a block with its parity

// RFC 5052 §9.1: the first `longer` blocks have one symbol more than the others.
class Partition {
public:
    // symbol_bytes >= 1. A chunk of no bytes has no block.
    Partition(std::uint32_t length, std::uint32_t symbol_bytes);

    std::uint32_t length() const { return length_; }
    std::uint32_t symbol_bytes() const { return symbol_; }
    unsigned blocks() const { return blocks_; }
    unsigned source_symbols(unsigned block) const { return small_ + (block < longer_ ? 1 : 0); }  // k
    // Where source symbol i of a block lies in the chunk; the chunk's last symbol may be shorter than symbol_bytes.
    std::uint32_t offset(unsigned block, unsigned i) const;
    std::uint32_t bytes(unsigned block, unsigned i) const;

private:
    std::uint32_t length_, symbol_;
    unsigned blocks_ = 0, small_ = 0, longer_ = 0;
};

// Parity symbols [first, first + out.size()) of a block, counted from its k on; first + out.size() <= 255 - k. All
// spans have the same size; source has k of them.
void make_parity(std::span<const ByteView> source, unsigned first, std::span<const std::span<std::byte>> out);

// A symbol that came: its number in the block and its bytes.
struct Symbol {
    std::uint16_t number = 0;
    ByteView bytes;
};
// Fills the missing source symbols: `wanted` are their numbers, `out` their places. have: exactly k different symbols.
// False when that cannot be (numbers out of range or twice, or wanted though it came).
bool restore(unsigned k, std::span<const Symbol> have, std::span<const std::uint16_t> wanted,
             std::span<const std::span<std::byte>> out);

}  // namespace slipway::multicast
