// SPDX-License-Identifier: GPL-3.0-or-later
#include "tftp/hot.hpp"

#include <algorithm>

namespace slipway::tftp {

Result<HotCache::Piece> HotCache::piece(const Content& content, std::uint64_t index) {
    Key key{content.version, index};
    if (auto found = by_key_.find(key); found != by_key_.end()) {
        entries_.splice(entries_.begin(), entries_, found->second);
        return entries_.front().piece;
    }
    auto offset = index * kPiece;
    auto length = std::min<std::uint64_t>(kPiece, content.size - std::min(content.size, offset));
    auto bytes = TRY(content.read(offset, length));
    TRY(content.unchanged());  // after the read: what was read is of this version
    ++reads_;
    auto piece = std::make_shared<const Bytes>(std::move(bytes));
    entries_.push_front({key, piece});
    by_key_[key] = entries_.begin();
    bytes_ += piece->size();
    while (bytes_ > limit_ && entries_.size() > 1) {
        bytes_ -= entries_.back().piece->size();
        by_key_.erase(entries_.back().key);
        entries_.pop_back();
    }
    return piece;
}

}  // namespace slipway::tftp
