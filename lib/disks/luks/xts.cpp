// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/luks/xts.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <memory>

#include "lib/disks/errors.hpp"

namespace slipway::disks {

namespace {

struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

unsigned char* raw(std::span<std::byte> bytes) { return reinterpret_cast<unsigned char*>(bytes.data()); }

std::uint64_t data_bytes(const BlockDevice& below, const XtsShape& shape) {
    return below.size() <= shape.data ? 0 : (below.size() - shape.data) / shape.sector * shape.sector;
}

}  // namespace

XtsVolume::XtsVolume(BlockDevice& below, const XtsShape& shape, ByteView key)
    : StackedVolume({&below}, data_bytes(below, shape)), shape_(shape), key_bytes_(std::min(key.size(), key_.size())) {
    std::copy_n(key.begin(), key_bytes_, key_.begin());
}

XtsVolume::~XtsVolume() { OPENSSL_cleanse(key_.data(), key_.size()); }

Status XtsVolume::decrypt(std::uint64_t sector, std::span<std::byte> bytes) const {
    std::unique_ptr<EVP_CIPHER_CTX, FreeContext> context(EVP_CIPHER_CTX_new());
    const auto* cipher = key_bytes_ == 64 ? EVP_aes_256_xts() : EVP_aes_128_xts();
    auto fine = context && EVP_DecryptInit_ex(context.get(), cipher, nullptr,
                                              reinterpret_cast<const unsigned char*>(key_.data()), nullptr) == 1;
    for (; fine && !bytes.empty(); ++sector) {
        ByteWriter tweak;
        tweak.le64(shape_.iv_offset + sector * (shape_.sector / 512)).le64(0);
        auto part = bytes.first(shape_.sector);
        int done = 0;
        fine = EVP_DecryptInit_ex(context.get(), nullptr, nullptr, nullptr,
                                  reinterpret_cast<const unsigned char*>(tweak.view().data())) == 1 &&
               EVP_DecryptUpdate(context.get(), raw(part), &done, raw(part), static_cast<int>(part.size())) == 1;
        bytes = bytes.subspan(shape_.sector);
    }
    if (!fine) return make_error(errors::kLuksUnsupported, "OpenSSL does not decrypt AES-XTS here");
    return {};
}

Status XtsVolume::read(std::uint64_t offset, std::span<std::byte> buffer) {
    TRY(check_range(offset, buffer.size()));
    constexpr std::size_t kPiece = 256 * 1024;
    Bytes piece;
    while (!buffer.empty()) {
        auto inside = static_cast<std::size_t>(offset % shape_.sector);
        auto n = std::min(buffer.size(), kPiece - inside);
        piece.resize((inside + n + shape_.sector - 1) / shape_.sector * shape_.sector);
        TRY(members_[0]->read(shape_.data + offset - inside, piece));
        TRY(decrypt(offset / shape_.sector, piece));
        std::copy_n(piece.begin() + static_cast<std::ptrdiff_t>(inside), n, buffer.begin());
        buffer = buffer.subspan(n);
        offset += n;
    }
    return {};
}

void XtsVolume::place(Extent bytes, std::span<ExtentSet> members) const {
    auto first = bytes.offset / shape_.sector * shape_.sector;
    auto end = (bytes.end() + shape_.sector - 1) / shape_.sector * shape_.sector;
    members[0].add({shape_.data + first, end - first});
}

}  // namespace slipway::disks
