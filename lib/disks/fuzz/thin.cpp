// SPDX-License-Identifier: GPL-3.0-or-later
// A hostile thin pool's metadata with right checksums: the walk ends, and no block lies outside the pool.
#include <algorithm>
#include <cstdint>
#include <cstdlib>

#include "lib/disks/volumes/crc.hpp"
#include "lib/disks/volumes/thin.hpp"

using namespace slipway;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    constexpr std::size_t kBlock = 4096, kBlocks = 16;
    constexpr std::uint64_t kPoolBlocks = 1024;
    auto view = std::as_bytes(std::span(data, size)).first(std::min(size, kBlock * kBlocks));
    Bytes content(view.begin(), view.end());
    content.resize(kBlock * kBlocks);
    for (std::size_t n = 0; n < kBlocks; ++n) {
        auto sum =
            disks::dm_crc32c(ByteView(content).subspan(n * kBlock + 4, kBlock - 4)) ^ (n == 0 ? 160774u : 121107u);
        for (std::size_t i = 0; i < 4; ++i) content[n * kBlock + i] = static_cast<std::byte>(sum >> (8 * i));
    }
    disks::MemoryDisk metadata(std::move(content));
    auto pool = disks::read_thin_pool(metadata, kPoolBlocks * 65536);
    if (!pool.ok()) return 0;
    disks::MemoryDisk nothing(0);
    for (const auto& [id, runs] : pool->devices) {
        for (const auto& run : runs)
            if (run.count == 0 || run.data_block + run.count > kPoolBlocks * 65536 / pool->block_bytes) std::abort();
        disks::ThinVolume volume(nothing, std::uint64_t{64} << 20, pool->block_bytes, runs);
        disks::ExtentSet sets[1];
        volume.place({0, volume.size()}, sets);
        auto placed = sets[0].cut_to(UINT64_MAX);
        for (const auto& e : placed.extents())
            if (e.end() > kPoolBlocks * 65536) std::abort();
    }
    return 0;
}
