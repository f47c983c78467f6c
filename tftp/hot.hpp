// SPDX-License-Identifier: GPL-3.0-or-later
// The pieces of boot files that were asked for last, in memory: a storm of machines asks for the same few files. A
// piece is known by the version of its file, so a replaced or rewritten file is another one.
#pragma once

#include <list>
#include <map>
#include <memory>

#include "tftp/source.hpp"

namespace slipway::tftp {

class HotCache {
public:
    static constexpr std::size_t kPiece = 64 << 10;
    using Piece = std::shared_ptr<const Bytes>;  // shared with the transfers that send from it now

    explicit HotCache(std::size_t limit = 64u << 20) : limit_(limit) {}
    // Bytes [index * kPiece, …) of a content that is a file; shorter only at its end.
    Result<Piece> piece(const Content& content, std::uint64_t index);
    std::size_t bytes() const { return bytes_; }
    std::uint64_t reads() const { return reads_; }  // pieces that were not there

private:
    using Key = std::pair<FileVersion, std::uint64_t>;
    struct Entry {
        Key key;
        Piece piece;
    };
    std::size_t limit_, bytes_ = 0;
    std::uint64_t reads_ = 0;
    std::list<Entry> entries_;  // used last: first
    std::map<Key, std::list<Entry>::iterator> by_key_;
};

}  // namespace slipway::tftp
