// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/fec.hpp"

#include <gtest/gtest.h>

#include <random>

namespace slipway::multicast {
namespace {

TEST(Partition, every_byte_of_a_chunk_is_in_one_symbol) {
    for (std::uint32_t symbol : {1u, 7u, 1376u})
        for (std::uint32_t length :
             {0u, 1u, 1375u, 1376u, 1377u, 64u * 1376, 64u * 1376 + 1, 700001u, (1u << 20) + 1}) {
            if (symbol == 1 && length > 100000) continue;
            Partition p(length, symbol);
            std::uint32_t at = 0;
            for (unsigned b = 0; b < p.blocks(); ++b) {
                ASSERT_LE(p.source_symbols(b), kMaxSource);
                ASSERT_GE(p.source_symbols(b), 1u);
                for (unsigned i = 0; i < p.source_symbols(b); ++i) {
                    ASSERT_EQ(p.offset(b, i), at) << length << ' ' << symbol << ' ' << b << ' ' << i;
                    at += p.bytes(b, i);
                }
            }
            EXPECT_EQ(at, length);
        }
}

TEST(Partition, blocks_differ_by_one_symbol_at_most) {
    Partition p(130 * 10, 10);
    ASSERT_EQ(p.blocks(), 3u);
    EXPECT_EQ(p.source_symbols(0), 44u);
    EXPECT_EQ(p.source_symbols(1), 43u);
    EXPECT_EQ(p.source_symbols(2), 43u);
}

struct Block {
    unsigned k;
    std::vector<Bytes> symbols;  // source, then all parity
    Block(unsigned count, std::size_t size, std::mt19937& random) : k(count) {
        std::vector<ByteView> source;
        for (unsigned i = 0; i < kMaxSymbols; ++i) symbols.emplace_back(size);
        for (unsigned i = 0; i < k; ++i)
            for (auto& b : symbols[i]) b = static_cast<std::byte>(random());
        for (unsigned i = 0; i < k; ++i) source.push_back(symbols[i]);
        // In two goes: a symbol does not depend on those made beside it.
        const unsigned half = (kMaxSymbols - k) / 2;
        std::vector<std::span<std::byte>> first, second;
        for (unsigned i = k; i < kMaxSymbols; ++i) (i < k + half ? first : second).push_back(symbols[i]);
        make_parity(source, 0, first);
        make_parity(source, half, second);
    }
};

TEST(Fec, any_k_symbols_give_the_block_back) {
    std::mt19937 random(7);
    for (unsigned k : {1u, 2u, 3u, 43u, kMaxSource}) {
        const Block block(k, 1376, random);
        for (int turn = 0; turn < 40; ++turn) {
            std::vector<std::uint16_t> numbers(kMaxSymbols);
            for (unsigned i = 0; i < kMaxSymbols; ++i) numbers[i] = static_cast<std::uint16_t>(i);
            std::shuffle(numbers.begin(), numbers.end(), random);
            std::vector<Symbol> have;
            for (unsigned i = 0; i < k; ++i) have.push_back({numbers[i], block.symbols[numbers[i]]});
            std::vector<std::uint16_t> wanted;
            for (std::uint16_t i = 0; i < k; ++i)
                if (std::find(numbers.begin(), numbers.begin() + k, i) == numbers.begin() + k) wanted.push_back(i);
            std::vector<Bytes> places(wanted.size(), Bytes(1376));
            std::vector<std::span<std::byte>> out(places.begin(), places.end());
            ASSERT_TRUE(restore(k, have, wanted, out)) << k;
            for (std::size_t i = 0; i < wanted.size(); ++i) ASSERT_EQ(places[i], block.symbols[wanted[i]]) << k;
        }
    }
}

TEST(Fec, symbols_that_are_none_are_refused) {
    std::mt19937 random(7);
    const Block block(3, 16, random);
    Bytes place(16);
    std::span<std::byte> out(place);
    const std::uint16_t wanted = 1, beyond = 3;
    auto with = [&](std::uint16_t last, std::uint16_t want) {
        const Symbol have[] = {{0, block.symbols[0]}, {4, block.symbols[4]}, {last, block.symbols[5]}};
        return restore(3, have, std::span(&want, 1), std::span(&out, 1));
    };
    EXPECT_TRUE(with(5, wanted));
    EXPECT_FALSE(with(4, wanted)) << "twice the same";
    EXPECT_FALSE(with(255, wanted)) << "no such symbol";
    EXPECT_FALSE(with(5, beyond)) << "parity is not restored";
    const Symbol few[] = {{0, block.symbols[0]}, {1, block.symbols[1]}};
    EXPECT_FALSE(restore(3, few, std::span(&wanted, 1), std::span(&out, 1)));
    EXPECT_FALSE(restore(65, few, std::span(&wanted, 1), std::span(&out, 1)));
}

}  // namespace
}  // namespace slipway::multicast
