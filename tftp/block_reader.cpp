// SPDX-License-Identifier: GPL-3.0-or-later
#include "tftp/block_reader.hpp"

#include <algorithm>

#include "tftp/netascii.hpp"

namespace slipway::tftp {

namespace {

iovec part(ByteView bytes) { return {const_cast<std::byte*>(bytes.data()), bytes.size()}; }

class OctetReader final : public BlockReader {
public:
    OctetReader(Content content, std::shared_ptr<HotCache> cache)
        : content_(std::move(content)), cache_(std::move(cache)) {}

    Status prepare(std::uint64_t offset, std::size_t length) override {
        auto end = std::min(content_.size, offset + length);
        if (!content_.file || offset >= end) return {};
        auto first = offset / HotCache::kPiece, last = (end - 1) / HotCache::kPiece;
        if (first >= first_ && last < first_ + pieces_.size()) return {};
        std::vector<HotCache::Piece> pieces;
        for (auto i = first; i <= last; ++i)
            pieces.push_back(i >= first_ && i < first_ + pieces_.size() ? pieces_[i - first_]
                                                                        : TRY(cache_->piece(content_, i)));
        pieces_ = std::move(pieces);
        first_ = first;
        return {};
    }

    void append(std::uint64_t offset, std::size_t length, std::vector<iovec>& to) const override {
        if (!content_.file) {
            to.push_back(part(as_bytes(content_.text).subspan(offset, length)));
            return;
        }
        while (length > 0) {
            ByteView piece = *pieces_[offset / HotCache::kPiece - first_];
            auto view = piece.subspan(offset % HotCache::kPiece);
            view = view.first(std::min(view.size(), length));
            to.push_back(part(view));
            offset += view.size();
            length -= view.size();
        }
    }

    std::optional<std::uint64_t> size() const override { return content_.size; }

private:
    Content content_;
    std::shared_ptr<HotCache> cache_;  // the server's
    std::uint64_t first_ = 0;
    std::vector<HotCache::Piece> pieces_;  // from first_ on: what prepare() promised
};

// Translated as far as it is asked for; kept from the last acknowledged byte on.
class NetasciiReader final : public BlockReader {
public:
    NetasciiReader(Content content, std::shared_ptr<HotCache> cache)
        : content_(std::move(content)), cache_(std::move(cache)) {}

    Status prepare(std::uint64_t offset, std::size_t length) override {
        text_.erase(0, offset - from_);
        from_ = offset;
        while (text_.size() < length && taken_ < content_.size) {
            if (!content_.file) {
                to_netascii(as_bytes(content_.text), text_);
                taken_ = content_.size;
                break;
            }
            auto piece = TRY(cache_->piece(content_, taken_ / HotCache::kPiece));
            to_netascii(*piece, text_);
            taken_ += piece->size();
        }
        return {};
    }

    void append(std::uint64_t offset, std::size_t length, std::vector<iovec>& to) const override {
        to.push_back(part(as_bytes(text_).subspan(offset - from_, length)));
    }

    std::optional<std::uint64_t> size() const override {
        if (taken_ < content_.size) return std::nullopt;
        return from_ + text_.size();
    }

private:
    Content content_;
    std::shared_ptr<HotCache> cache_;  // the server's
    std::uint64_t taken_ = 0;          // of the content, whole pieces
    std::uint64_t from_ = 0;           // of the translation: where text_ begins
    std::string text_;
};

}  // namespace

std::unique_ptr<BlockReader> read_octet(Content content, std::shared_ptr<HotCache> cache) {
    return std::make_unique<OctetReader>(std::move(content), std::move(cache));
}

std::unique_ptr<BlockReader> read_netascii(Content content, std::shared_ptr<HotCache> cache) {
    return std::make_unique<NetasciiReader>(std::move(content), std::move(cache));
}

}  // namespace slipway::tftp
