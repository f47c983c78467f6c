// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/window_target.hpp"

#include <algorithm>

namespace slipway::imagestore {

Status WindowTarget::read(std::uint64_t offset, std::span<std::byte> buffer) {
    TRY(check_range(offset, buffer.size()));
    auto from = std::max(offset, begin_), to = std::min(offset + buffer.size(), end_);
    if (from > offset || to < offset + buffer.size()) std::fill(buffer.begin(), buffer.end(), std::byte{0});
    return from < to ? below_.read(from - begin_, buffer.subspan(from - offset, to - from)) : Status();
}

Status WindowTarget::write(std::uint64_t offset, ByteView data) {
    TRY(check_range(offset, data.size()));
    auto from = std::max(offset, begin_), to = std::min(offset + data.size(), end_);
    return from < to ? below_.write(from - begin_, data.subspan(from - offset, to - from)) : Status();
}

Result<bool> WindowTarget::discard(std::uint64_t offset, std::uint64_t length) {
    TRY(check_range(offset, length));
    auto from = std::max(offset, begin_), to = std::min(offset + length, end_);
    return from < to ? below_.discard(from - begin_, to - from) : Result<bool>(true);
}

}  // namespace slipway::imagestore
