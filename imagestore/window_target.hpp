// SPDX-License-Identifier: GPL-3.0-or-later
// A target that holds only [begin, end) of a disk, addressed as the whole disk: what is written beside it is dropped,
// what is read beside it is zero. A deploy of one volume goes through it.
#pragma once

#include "lib/disks/block.hpp"

namespace slipway::imagestore {

class WindowTarget final : public disks::PassLayer {
public:
    WindowTarget(disks::BlockDevice& target, std::uint64_t disk_size, std::uint64_t begin, std::uint64_t end)
        : PassLayer(target), disk_size_(disk_size), begin_(begin), end_(end) {}
    std::uint64_t size() const override { return disk_size_; }
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override;
    Status write(std::uint64_t offset, ByteView data) override;
    Result<bool> discard(std::uint64_t offset, std::uint64_t length) override;

private:
    std::uint64_t disk_size_, begin_, end_;
};

}  // namespace slipway::imagestore
