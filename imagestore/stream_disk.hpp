// SPDX-License-Identifier: GPL-3.0-or-later
// A raw disk that comes through a pipe: read once from first to last, its size known at the end. It holds the chunk
// that came last and what it takes to read the partition table afterwards.
#pragma once

#include <atomic>
#include <map>

#include "imagestore/chunk.hpp"
#include "lib/disks/layout.hpp"

namespace slipway::imagestore {

class StreamDisk final : public disks::BlockDevice {
public:
    StreamDisk(int fd, const std::atomic<bool>* cancel) : fd_(fd), cancel_(cancel) {}

    // Takes the next chunk in; false at the end. Errors: imagestore.cancelled, base.*.
    Result<bool> advance();
    // Of what has come. After the end: of the disk.
    Result<disks::DiskLayout> layout();

    std::uint64_t size() const override { return size_; }
    unsigned sector_size() const override { return sector_; }
    bool writable() const override { return false; }
    // Inside the last chunk that came.
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override;
    Status write(std::uint64_t offset, ByteView data) override;
    Result<bool> discard(std::uint64_t offset, std::uint64_t length) override;
    Status flush() override { return {}; }

private:
    class Kept;
    void keep();

    int fd_;
    const std::atomic<bool>* cancel_;
    std::uint64_t size_ = 0, start_ = 0;  // start_: of the last chunk
    unsigned sector_ = 512;
    bool ended_ = false, mbr_ = false;
    Bytes chunk_, previous_;                  // the last two: a backup GPT may lie across them
    Bytes first_;                             // boot code, MBR, primary GPT
    std::map<std::uint64_t, Bytes> records_;  // boot records of logical partitions
};

}  // namespace slipway::imagestore
