// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/maps/checksums.hpp"

#include <algorithm>
#include <bit>
#include <cstring>

namespace slipway::disks {

namespace {

static_assert(std::endian::native == std::endian::little, "words are loaded as they lie");

template <typename Word>
Word load(const std::byte* at) {
    Word word;
    std::memcpy(&word, at, sizeof word);
    return word;
}

// tables[k][b]: byte b followed by k zero bytes, so that eight bytes are eight look-ups.
constexpr auto kCrcTables = [] {
    std::array<std::array<std::uint32_t, 256>, 8> tables{};
    for (std::uint32_t b = 0; b < 256; ++b) {
        auto crc = b;
        for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0u);
        tables[0][b] = crc;
    }
    for (std::size_t k = 1; k < 8; ++k)
        for (std::size_t b = 0; b < 256; ++b) tables[k][b] = tables[k - 1][b] >> 8 ^ tables[0][tables[k - 1][b] & 0xff];
    return tables;
}();

}  // namespace

std::uint32_t crc32c(ByteView data, std::uint32_t before) {
    auto crc = ~before;
    while (data.size() >= 8) {
        auto word = load<std::uint64_t>(data.data()) ^ crc;
        crc = 0;
        for (std::size_t k = 0; k < 8; ++k) crc ^= kCrcTables[7 - k][word >> 8 * k & 0xff];
        data = data.subspan(8);
    }
    for (auto b : data) crc = crc >> 8 ^ kCrcTables[0][(crc ^ std::to_integer<std::uint32_t>(b)) & 0xff];
    return ~crc;
}

namespace {

constexpr std::uint64_t kXxh1 = 0x9e3779b185ebca87, kXxh2 = 0xc2b2ae3d27d4eb4f, kXxh3 = 0x165667b19e3779f9,
                        kXxh4 = 0x85ebca77c2b2ae63, kXxh5 = 0x27d4eb2f165667c5;

std::uint64_t xxh_round(std::uint64_t sum, std::uint64_t lane) { return std::rotl(sum + lane * kXxh2, 31) * kXxh1; }

std::uint64_t xxh_finish(std::uint64_t sum, ByteView rest) {
    for (; rest.size() >= 8; rest = rest.subspan(8))
        sum = std::rotl(sum ^ xxh_round(0, load<std::uint64_t>(rest.data())), 27) * kXxh1 + kXxh4;
    if (rest.size() >= 4) {
        sum = std::rotl(sum ^ load<std::uint32_t>(rest.data()) * kXxh1, 23) * kXxh2 + kXxh3;
        rest = rest.subspan(4);
    }
    for (auto b : rest) sum = std::rotl(sum ^ std::to_integer<std::uint64_t>(b) * kXxh5, 11) * kXxh1;
    sum = (sum ^ sum >> 33) * kXxh2;
    sum = (sum ^ sum >> 29) * kXxh3;
    return sum ^ sum >> 32;
}

}  // namespace

std::uint64_t xxh64(ByteView data) {
    std::uint64_t sum = kXxh5;
    auto rest = data;
    if (data.size() >= 32) {
        std::array<std::uint64_t, 4> lanes{kXxh1 + kXxh2, kXxh2, 0, 0 - kXxh1};
        for (; rest.size() >= 32; rest = rest.subspan(32))
            for (std::size_t i = 0; i < 4; ++i)
                lanes[i] = xxh_round(lanes[i], load<std::uint64_t>(rest.data() + 8 * i));
        sum = std::rotl(lanes[0], 1) + std::rotl(lanes[1], 7) + std::rotl(lanes[2], 12) + std::rotl(lanes[3], 18);
        for (auto lane : lanes) sum = (sum ^ xxh_round(0, lane)) * kXxh1 + kXxh4;
    }
    return xxh_finish(sum + data.size(), rest);
}

namespace {

constexpr std::array<std::uint32_t, 64> kShaRounds{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

void sha_block(std::array<std::uint32_t, 8>& state, const std::byte* block) {
    std::array<std::uint32_t, 64> w{};
    for (std::size_t i = 0; i < 16; ++i) w[i] = __builtin_bswap32(load<std::uint32_t>(block + 4 * i));
    for (std::size_t i = 16; i < 64; ++i) {
        auto s0 = std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ w[i - 15] >> 3;
        auto s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ w[i - 2] >> 10;
        w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = state;
    for (std::size_t i = 0; i < 64; ++i) {
        auto s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
        auto t1 = h + s1 + ((e & f) ^ (~e & g)) + kShaRounds[i] + w[i];
        auto s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
        auto t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
        h = g, g = f, f = e, e = d + t1, d = c, c = b, b = a, a = t1 + t2;
    }
    const std::array<std::uint32_t, 8> sum{a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < 8; ++i) state[i] += sum[i];
}

}  // namespace

std::array<std::byte, 32> sha256_checksum(ByteView data) {
    std::array<std::uint32_t, 8> state{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                       0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
    auto rest = data;
    for (; rest.size() >= 64; rest = rest.subspan(64)) sha_block(state, rest.data());
    std::array<std::byte, 128> tail{};
    std::copy(rest.begin(), rest.end(), tail.begin());
    tail[rest.size()] = std::byte{0x80};
    std::size_t end = rest.size() < 56 ? 64 : 128;
    auto bits = __builtin_bswap64(std::uint64_t{data.size()} * 8);
    std::memcpy(tail.data() + end - 8, &bits, 8);
    for (std::size_t at = 0; at < end; at += 64) sha_block(state, tail.data() + at);
    std::array<std::byte, 32> digest{};
    for (std::size_t i = 0; i < 8; ++i) {
        auto word = __builtin_bswap32(state[i]);
        std::memcpy(digest.data() + 4 * i, &word, 4);
    }
    return digest;
}

namespace {

constexpr std::array<std::uint64_t, 8> kBlakeStart{0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b,
                                                   0xa54ff53a5f1d36f1, 0x510e527fade682d1, 0x9b05688c2b3e6c1f,
                                                   0x1f83d9abfb41bd6b, 0x5be0cd19137e2179};
constexpr std::uint8_t kBlakeOrder[10][16] = {
    {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15}, {14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3},
    {11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4}, {7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8},
    {9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13}, {2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9},
    {12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11}, {13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10},
    {6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5}, {10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0}};
constexpr std::uint8_t kBlakeMix[8][4] = {{0, 4, 8, 12},  {1, 5, 9, 13},  {2, 6, 10, 14}, {3, 7, 11, 15},
                                          {0, 5, 10, 15}, {1, 6, 11, 12}, {2, 7, 8, 13},  {3, 4, 9, 14}};

void blake_block(std::array<std::uint64_t, 8>& state, const std::byte* block, std::uint64_t bytes, bool last) {
    std::array<std::uint64_t, 16> m{}, v{};
    for (std::size_t i = 0; i < 16; ++i) m[i] = load<std::uint64_t>(block + 8 * i);
    std::copy(state.begin(), state.end(), v.begin());
    std::copy(kBlakeStart.begin(), kBlakeStart.end(), v.begin() + 8);
    v[12] ^= bytes;
    if (last) v[14] = ~v[14];
    for (std::size_t round = 0; round < 12; ++round) {
        const auto& order = kBlakeOrder[round % 10];
        for (std::size_t i = 0; i < 8; ++i) {
            auto &a = v[kBlakeMix[i][0]], &b = v[kBlakeMix[i][1]], &c = v[kBlakeMix[i][2]], &d = v[kBlakeMix[i][3]];
            a += b + m[order[2 * i]];
            d = std::rotr(d ^ a, 32);
            c += d;
            b = std::rotr(b ^ c, 24);
            a += b + m[order[2 * i + 1]];
            d = std::rotr(d ^ a, 16);
            c += d;
            b = std::rotr(b ^ c, 63);
        }
    }
    for (std::size_t i = 0; i < 8; ++i) state[i] ^= v[i] ^ v[i + 8];
}

}  // namespace

std::array<std::byte, 32> blake2b_256(ByteView data) {
    auto state = kBlakeStart;
    state[0] ^= 0x01010000 ^ 32;  // no key, fanout and depth 1, 32 bytes of digest
    auto rest = data;
    for (; rest.size() > 128; rest = rest.subspan(128))
        blake_block(state, rest.data(), data.size() - rest.size() + 128, false);
    std::array<std::byte, 128> tail{};
    std::copy(rest.begin(), rest.end(), tail.begin());
    blake_block(state, tail.data(), data.size(), true);
    std::array<std::byte, 32> digest{};
    std::memcpy(digest.data(), state.data(), digest.size());
    return digest;
}

}  // namespace slipway::disks
