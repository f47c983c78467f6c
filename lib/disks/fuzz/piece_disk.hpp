// SPDX-License-Identifier: GPL-3.0-or-later
// A small input for a large disk: pieces of a volume that is zero elsewhere, so that seeds of file systems whose
// metadata lies far apart stay small. An input is any number of
//   offset le32 (in 16-byte units)  times le16  length le16 (bytes)  bytes[length]
// where the bytes are repeated `times` (0 counts as 1). What leaves the disk is cut. piece_disk.py makes and unpacks them.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <map>

#include "lib/disks/used_map.hpp"

namespace slipway::disks::fuzz {

class PieceDisk final : public BlockDevice {
public:
    PieceDisk(ByteView input, std::uint64_t size) : size_(size) {
        std::size_t budget = 4u << 20;  // of bytes written, however often pieces overlap
        ByteReader reader(input);
        while (reader.remaining() >= 8) {
            auto at = std::uint64_t{reader.le32()} * 16;
            std::size_t times = reader.le16(), length = reader.le16();
            auto bytes = reader.take(std::min(length, reader.remaining()));
            for (; budget >= bytes.size() && !bytes.empty(); budget -= bytes.size(), at += bytes.size()) {
                put(at, bytes);
                if (times <= 1) break;
                --times;
            }
        }
    }
    std::uint64_t size() const override { return size_; }
    bool writable() const override { return false; }
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override {
        if (offset > size_ || buffer.size() > size_ - offset) std::abort();  // a parser's own check comes first
        std::fill(buffer.begin(), buffer.end(), std::byte{0});
        for (auto page = pages_.lower_bound(offset / kPage); page != pages_.end(); ++page) {
            auto start = page->first * kPage;
            if (start >= offset + buffer.size()) break;
            auto from = std::max(start, offset), to = std::min(start + kPage, offset + buffer.size());
            std::copy_n(page->second.begin() + static_cast<std::ptrdiff_t>(from - start), to - from,
                        buffer.begin() + static_cast<std::ptrdiff_t>(from - offset));
        }
        return {};
    }
    Status write(std::uint64_t, ByteView) override { std::abort(); }
    Result<bool> discard(std::uint64_t, std::uint64_t) override { std::abort(); }
    Status flush() override { return {}; }

private:
    static constexpr std::uint64_t kPage = 4096;
    void put(std::uint64_t at, ByteView bytes) {
        while (!bytes.empty() && at < size_) {
            auto n = std::min({bytes.size(), static_cast<std::size_t>(kPage - at % kPage), size_ - at});
            std::copy_n(bytes.begin(), n, pages_[at / kPage].begin() + static_cast<std::ptrdiff_t>(at % kPage));
            bytes = bytes.subspan(n);
            at += n;
        }
    }
    std::uint64_t size_;
    std::map<std::uint64_t, std::array<std::byte, kPage>> pages_;
};

// What holds of every map whatever the volume says: inside the volume, sorted, and everything when there is a reason.
inline void check_map(const Result<UsedMap>& map, std::uint64_t volume_bytes) {
    if (!map.ok()) std::abort();  // this disk reads without errors
    std::uint64_t end = 0;
    for (const auto& e : map->used.extents()) {
        if (e.length == 0 || e.length > volume_bytes || e.offset > volume_bytes - e.length) std::abort();
        if (end != 0 && e.offset <= end) std::abort();
        end = e.end();
    }
    if (!map->why_all.empty() && map->used.total() != volume_bytes) std::abort();
    if (map->why_all.empty() && !map->filesystem.empty() && map->state != VolumeState::Clean) std::abort();
}

}  // namespace slipway::disks::fuzz
