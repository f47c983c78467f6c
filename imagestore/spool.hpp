// SPDX-License-Identifier: GPL-3.0-or-later
// A manifest being written, kept in an unnamed temporary file: it grows by 32 bytes a MiB of data.
#pragma once

#include "imagestore/manifest.hpp"
#include "lib/base/fd.hpp"

namespace slipway::imagestore {

class SpoolManifest final : public ManifestOutput, public ManifestBytes {
public:
    static Result<SpoolManifest> create();
    Status write(ByteView bytes) override;
    std::uint64_t size() const override { return size_; }
    Status read(std::uint64_t offset, std::span<std::byte> out) const override;

private:
    explicit SpoolManifest(UniqueFd fd) : fd_(std::move(fd)) {}
    UniqueFd fd_;
    std::uint64_t size_ = 0;
};

}  // namespace slipway::imagestore
