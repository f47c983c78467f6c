// SPDX-License-Identifier: GPL-3.0-or-later
// A volume of AES-XTS sectors over another device (IEEE 1619; dm-crypt's aes-xts-plain64).
#pragma once

#include <array>

#include "lib/disks/volumes/stack.hpp"

namespace slipway::disks {

struct XtsShape {
    std::uint64_t data = 0;       // bytes: where sector 0 lies
    std::uint64_t iv_offset = 0;  // in 512-byte sectors, added to each tweak
    unsigned sector = 512;        // bytes encrypted at once; the tweak counts 512-byte sectors all the same
};

class XtsVolume final : public StackedVolume {
public:
    // key: 32 bytes (AES-128) or 64 (AES-256), checked by the caller. The data ends with the device's last whole
    // sector.
    XtsVolume(BlockDevice& below, const XtsShape& shape, ByteView key);
    ~XtsVolume() override;
    XtsVolume(const XtsVolume&) = delete;
    XtsVolume& operator=(const XtsVolume&) = delete;
    unsigned sector_size() const override { return shape_.sector; }
    Status read(std::uint64_t offset, std::span<std::byte> buffer) override;
    void place(Extent bytes, std::span<ExtentSet> members) const override;

private:
    Status decrypt(std::uint64_t sector, std::span<std::byte> bytes) const;  // whole sectors
    XtsShape shape_;
    std::array<std::byte, 64> key_{};
    std::size_t key_bytes_;
};

}  // namespace slipway::disks
