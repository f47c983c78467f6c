// SPDX-License-Identifier: GPL-3.0-or-later
// What a download sends, as it is on the wire in its mode: ranges of it as places in memory, not copied.
#pragma once

#include <memory>
#include <optional>
#include <vector>

#include <sys/uio.h>

#include "tftp/hot.hpp"

namespace slipway::tftp {

class BlockReader {
public:
    virtual ~BlockReader() = default;
    // The bytes of [offset, offset + length), fewer at the end, can be had until the next prepare(). Nothing before
    // offset is asked for again.
    virtual Status prepare(std::uint64_t offset, std::size_t length) = 0;
    virtual void append(std::uint64_t offset, std::size_t length, std::vector<iovec>& to) const = 0;
    virtual std::optional<std::uint64_t> size() const = 0;  // nullopt: not known yet
};

std::unique_ptr<BlockReader> read_octet(Content content, std::shared_ptr<HotCache> cache);
std::unique_ptr<BlockReader> read_netascii(Content content, std::shared_ptr<HotCache> cache);

}  // namespace slipway::tftp
