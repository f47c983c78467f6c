// SPDX-License-Identifier: GPL-3.0-or-later
// A large, mostly empty volume as a small fuzz input. A file system's checksums would turn away nearly all that a
// fuzzer changes, so that the input also says which blocks get theirs anew.
//
//   input  = le32 volume's size in 64 KiB, record*
//   record = 0, le32 place / 16, le16 count, bytes              put these there
//          | 1, le32 place / 16, le16 length / 16               btrfs: CRC-32C of what follows 32 bytes, before them
//          | 2, le32 place / 16, le16 length / 16, le16 at      XFS: CRC-32C of the block, with zero at `at`, there
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>

#include "lib/disks/block.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/maps/checksums.hpp"

namespace slipway::disks::fuzz {

class SparseDisk final : public BlockDevice {
public:
    explicit SparseDisk(std::uint64_t size) : size_(size) {}
    std::uint64_t size() const override { return size_; }
    bool writable() const override { return true; }
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override {
        TRY(check_range(offset, buffer.size()));
        for (std::size_t done = 0; done < buffer.size();) {
            auto within = (offset + done) % kPage, count = std::min(kPage - within, buffer.size() - done);
            auto page = pages_.find((offset + done) / kPage);
            auto to = buffer.subspan(done, count);
            if (page == pages_.end()) std::fill(to.begin(), to.end(), std::byte{});
            else std::copy_n(page->second.begin() + static_cast<std::ptrdiff_t>(within), count, to.begin());
            done += count;
        }
        return {};
    }
    Status write(std::uint64_t offset, ByteView data) override {
        TRY(check_range(offset, data.size()));
        for (std::size_t i = 0; i < data.size(); ++i) {
            auto& page = pages_[(offset + i) / kPage];
            page.resize(kPage);
            page[(offset + i) % kPage] = data[i];
        }
        return {};
    }
    Result<bool> discard(std::uint64_t, std::uint64_t) override { return false; }
    Status flush() override { return {}; }

private:
    static constexpr std::size_t kPage = 4096;
    std::uint64_t size_;
    std::map<std::uint64_t, Bytes> pages_;
};

enum class Record : std::uint8_t { Put, SealBtrfs, SealXfs };

// A checksum right again. Records that make no sense are passed over.
inline void seal(SparseDisk& disk, std::uint64_t place, std::size_t length, std::size_t at, std::size_t from) {
    Bytes block(std::min<std::size_t>(length, 65536));
    if (at + 4 > block.size() || from > block.size() || !disk.read(place, block).ok()) return;
    std::fill_n(block.begin() + static_cast<std::ptrdiff_t>(at), 4, std::byte{});
    ByteWriter crc;
    crc.le32(crc32c(ByteView(block).subspan(from)));
    (void)disk.write(place + at, crc.view());
}

inline SparseDisk disk_of(ByteView input) {
    ByteReader reader(input);
    SparseDisk disk(std::uint64_t{reader.le32()} << 16);
    for (int records = 0; records < 4096 && !reader.at_end() && !reader.failed(); ++records) {
        auto kind = Record{reader.u8()};
        auto place = std::uint64_t{reader.le32()} * 16;
        auto length = reader.le16();
        if (kind == Record::Put) (void)disk.write(place, reader.take(length));
        else if (kind == Record::SealBtrfs) seal(disk, place, length * std::size_t{16}, 0, 32);
        else if (kind == Record::SealXfs) seal(disk, place, length * std::size_t{16}, reader.le16(), 0);
    }
    return disk;
}

// The other way: what tests write seeds with.
class SeedWriter {
public:
    explicit SeedWriter(std::uint64_t size) { out_.le32(static_cast<std::uint32_t>((size + 0xffff) >> 16)); }
    // The parts of a block that are not zero.
    void put(std::uint64_t place, ByteView block) {
        constexpr std::size_t kStep = 16;
        for (std::size_t at = 0, end = 0; at < block.size(); at = end) {
            auto zero = [&](std::size_t i) { return all_zero(block.subspan(i, std::min(kStep, block.size() - i))); };
            end = at + kStep;
            if (zero(at)) continue;
            while (end < block.size() && end - at < 32768 && !zero(end)) end += kStep;
            end = std::min(end, block.size());
            record(Record::Put, place + at, end - at).bytes(block.subspan(at, end - at));
        }
    }
    void seal_btrfs(std::uint64_t place, std::size_t length) { record(Record::SealBtrfs, place, length / 16); }
    void seal_xfs(std::uint64_t place, std::size_t length, std::uint16_t at) {
        record(Record::SealXfs, place, length / 16).le16(at);
    }
    ByteView view() const { return out_.view(); }

private:
    ByteWriter& record(Record kind, std::uint64_t place, std::size_t length) {
        out_.u8(static_cast<std::uint8_t>(kind)).le32(static_cast<std::uint32_t>(place / 16));
        return out_.le16(static_cast<std::uint16_t>(length));
    }
    ByteWriter out_;
};

}  // namespace slipway::disks::fuzz
