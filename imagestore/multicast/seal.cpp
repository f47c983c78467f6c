// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/seal.hpp"

#include <openssl/evp.h>

#include <algorithm>

#include <stdexcept>

namespace slipway::multicast {

namespace {

const unsigned char* raw(ByteView bytes) { return reinterpret_cast<const unsigned char*>(bytes.data()); }
unsigned char* raw(std::byte* bytes) { return reinterpret_cast<unsigned char*>(bytes); }

std::array<unsigned char, 12> nonce_of(const Header& header) {
    std::array<unsigned char, 12> nonce{};
    for (unsigned i = 0; i < 4; ++i) nonce[i] = static_cast<unsigned char>(header.source >> (24 - 8 * i));
    for (unsigned i = 0; i < 8; ++i) nonce[4 + i] = static_cast<unsigned char>(header.number >> (56 - 8 * i));
    return nonce;
}

}  // namespace

struct Seal::Context {
    EVP_CIPHER_CTX *sealing = EVP_CIPHER_CTX_new(), *opening = EVP_CIPHER_CTX_new();
    Bytes plain;

    explicit Context(const Key& key) {
        // A library that cannot do this is broken; there is nothing to go on with.
        if (!sealing || !opening ||
            EVP_EncryptInit_ex(sealing, EVP_chacha20_poly1305(), nullptr, raw(ByteView(key)), nullptr) != 1 ||
            EVP_DecryptInit_ex(opening, EVP_chacha20_poly1305(), nullptr, raw(ByteView(key)), nullptr) != 1)
            throw std::runtime_error("ChaCha20-Poly1305 is not to be had");
    }
    ~Context() {
        EVP_CIPHER_CTX_free(sealing);
        EVP_CIPHER_CTX_free(opening);
    }
};

Seal::Seal(const Key& key) : context_(std::make_unique<Context>(key)) {}
Seal::Seal(Seal&&) noexcept = default;
Seal& Seal::operator=(Seal&&) noexcept = default;
Seal::~Seal() = default;

Bytes Seal::close(const Header& header, ByteView body) {
    ByteWriter writer;
    write_header(header, writer);
    writer.bytes(body).zeros(kTagBytes);
    Bytes packet = std::move(writer).take();
    auto* out = context_->sealing;
    const auto nonce = nonce_of(header);
    int length = 0;
    const auto open_bytes = static_cast<int>(kHeaderBytes + (header.clear ? body.size() : 0));
    bool ok = EVP_EncryptInit_ex(out, nullptr, nullptr, nullptr, nonce.data()) == 1 &&
              EVP_EncryptUpdate(out, nullptr, &length, raw(packet), open_bytes) == 1;
    auto* at = raw(packet.data() + kHeaderBytes);
    if (ok && !header.clear) ok = EVP_EncryptUpdate(out, at, &length, raw(body), static_cast<int>(body.size())) == 1;
    ok = ok && EVP_EncryptFinal_ex(out, at, &length) == 1 &&
         EVP_CIPHER_CTX_ctrl(out, EVP_CTRL_AEAD_GET_TAG, kTagBytes, at + body.size()) == 1;
    if (!ok) throw std::runtime_error("sealing a packet failed");
    return packet;
}

std::optional<ByteView> Seal::open(const Header& header, ByteView packet) {
    if (packet.size() < kHeaderBytes + kTagBytes || packet.size() > kMaxPacket) return std::nullopt;
    const auto body = packet.subspan(kHeaderBytes, packet.size() - kHeaderBytes - kTagBytes);
    std::array<std::byte, kTagBytes> tag;
    std::copy(packet.end() - kTagBytes, packet.end(), tag.begin());
    auto* in = context_->opening;
    const auto nonce = nonce_of(header);
    int length = 0;
    const auto open_bytes = static_cast<int>(kHeaderBytes + (header.clear ? body.size() : 0));
    if (EVP_DecryptInit_ex(in, nullptr, nullptr, nullptr, nonce.data()) != 1 ||
        EVP_CIPHER_CTX_ctrl(in, EVP_CTRL_AEAD_SET_TAG, kTagBytes, tag.data()) != 1 ||
        EVP_DecryptUpdate(in, nullptr, &length, raw(packet), open_bytes) != 1)
        return std::nullopt;
    context_->plain.resize(std::max<std::size_t>(body.size(), 1));
    auto* at = raw(context_->plain.data());
    if (!header.clear && EVP_DecryptUpdate(in, at, &length, raw(body), static_cast<int>(body.size())) != 1)
        return std::nullopt;
    if (EVP_DecryptFinal_ex(in, at, &length) != 1) return std::nullopt;
    return header.clear ? body : ByteView(context_->plain).first(body.size());
}

bool ReplayWindow::fresh(std::uint64_t number) const {
    if (!any_ || number > newest_) return true;
    if (newest_ - number >= kSpan) return false;
    return !(seen_[number % kSpan / 64] >> (number % 64) & 1);
}

void ReplayWindow::pass(std::uint64_t number) {
    if (!any_ || number > newest_) {
        // What comes between is not seen yet.
        const auto from = any_ ? newest_ + 1 : number;
        if (number - from >= kSpan) seen_.fill(0);
        else
            for (auto n = from; n < number; ++n) seen_[n % kSpan / 64] &= ~(std::uint64_t{1} << (n % 64));
        newest_ = number;
        any_ = true;
    } else if (newest_ - number >= kSpan) {
        return;
    }
    seen_[number % kSpan / 64] |= std::uint64_t{1} << (number % 64);
}

}  // namespace slipway::multicast
