// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/fec.hpp"

#include <isa-l/erasure_code.h>

#include <algorithm>
#include <array>
#include <map>
#include <mutex>
#include <utility>

namespace slipway::multicast {

namespace {

using Row = unsigned char;

// The whole matrix for k: identity, then 1 / (i + j). A row is the same whatever rows are made beside it.
const std::vector<Row>& matrix_of(unsigned k) {
    static std::mutex mutex;
    static std::map<unsigned, std::vector<Row>> made;  // at most kMaxSource of them
    std::lock_guard hold(mutex);
    auto& matrix = made[k];
    if (matrix.empty()) {
        matrix.resize(std::size_t{kMaxSymbols} * k);
        gf_gen_cauchy1_matrix(matrix.data(), kMaxSymbols, static_cast<int>(k));
    }
    return matrix;
}

unsigned char* raw(ByteView bytes) {  // ISA-L's interface has no const
    return const_cast<unsigned char*>(reinterpret_cast<const unsigned char*>(bytes.data()));
}

// rows * source = out.
void multiply(unsigned k, std::vector<Row>& rows, std::span<unsigned char* const> source,
              std::span<const std::span<std::byte>> out) {
    const auto count = out.size();
    std::vector<Row> tables(32 * std::size_t{k} * count);
    ec_init_tables(static_cast<int>(k), static_cast<int>(count), rows.data(), tables.data());
    std::vector<unsigned char*> to(count);
    for (std::size_t i = 0; i < count; ++i) to[i] = raw(out[i]);
    ec_encode_data(static_cast<int>(out[0].size()), static_cast<int>(k), static_cast<int>(count), tables.data(),
                   const_cast<unsigned char**>(source.data()), to.data());
}

}  // namespace

Partition::Partition(std::uint32_t length, std::uint32_t symbol_bytes) : length_(length), symbol_(symbol_bytes) {
    const auto total = (std::uint64_t{length} + symbol_ - 1) / symbol_;
    if (total == 0) return;
    blocks_ = static_cast<unsigned>((total + kMaxSource - 1) / kMaxSource);
    small_ = static_cast<unsigned>(total / blocks_);
    longer_ = static_cast<unsigned>(total % blocks_);
}

std::uint32_t Partition::offset(unsigned block, unsigned i) const {
    return (block * small_ + std::min(block, longer_) + i) * symbol_;
}

std::uint32_t Partition::bytes(unsigned block, unsigned i) const {
    return std::min(symbol_, length_ - offset(block, i));
}

void make_parity(std::span<const ByteView> source, unsigned first, std::span<const std::span<std::byte>> out) {
    if (out.empty()) return;
    const auto k = static_cast<unsigned>(source.size());
    const auto& matrix = matrix_of(k);
    const auto begin = matrix.begin() + static_cast<std::ptrdiff_t>((k + first) * k);
    std::vector<Row> rows(begin, begin + static_cast<std::ptrdiff_t>(out.size() * k));
    std::vector<unsigned char*> from(k);
    for (unsigned i = 0; i < k; ++i) from[i] = raw(source[i]);
    multiply(k, rows, from, out);
}

bool restore(unsigned k, std::span<const Symbol> have, std::span<const std::uint16_t> wanted,
             std::span<const std::span<std::byte>> out) {
    if (k == 0 || k > kMaxSource || have.size() != k || wanted.size() != out.size()) return false;
    std::array<bool, kMaxSymbols> seen{};
    std::vector<unsigned char*> from(k);
    std::vector<unsigned> parity;  // where in `have`
    for (unsigned i = 0; i < k; ++i) {
        const auto number = have[i].number;
        if (number >= kMaxSymbols || std::exchange(seen[number], true)) return false;
        from[i] = raw(have[i].bytes);
        if (number >= k) parity.push_back(i);
    }
    for (auto number : wanted)
        if (number >= k || seen[number]) return false;
    if (wanted.empty()) return true;
    std::vector<unsigned> missing;  // as many as there is parity, since k symbols came
    for (unsigned j = 0; j < k; ++j)
        if (!seen[j]) missing.push_back(j);
    // Each parity symbol without what the source symbols that came put into it is a sum of missing ones alone: only
    // that much has to be inverted, not all of the block.
    const auto& matrix = matrix_of(k);
    const auto coefficient = [&](unsigned p, unsigned j) {
        return matrix[std::size_t{have[parity[p]].number} * k + j];
    };
    const auto e = missing.size();
    std::vector<Row> square(e * e), inverse(e * e);
    for (unsigned p = 0; p < e; ++p)
        for (unsigned m = 0; m < e; ++m) square[p * e + m] = coefficient(p, missing[m]);
    if (gf_invert_matrix(square.data(), inverse.data(), static_cast<int>(e)) != 0) return false;
    std::vector<Row> rows(wanted.size() * k);
    for (std::size_t w = 0; w < wanted.size(); ++w) {
        const auto m = static_cast<std::size_t>(std::find(missing.begin(), missing.end(), wanted[w]) - missing.begin());
        auto* row = rows.data() + w * k;
        for (unsigned p = 0; p < e; ++p) row[parity[p]] = inverse[m * e + p];
        for (unsigned i = 0; i < k; ++i)
            if (have[i].number < k)
                for (unsigned p = 0; p < e; ++p) row[i] ^= gf_mul(inverse[m * e + p], coefficient(p, have[i].number));
    }
    multiply(k, rows, from, out);
    return true;
}

}  // namespace slipway::multicast
