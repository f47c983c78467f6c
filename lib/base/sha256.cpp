// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/sha256.hpp"

#include <algorithm>

#include <openssl/evp.h>

namespace slipway {

std::optional<Digest> Digest::parse(std::string_view hex) {
    auto bytes = from_hex(hex);
    if (!bytes || bytes->size() != 32) return std::nullopt;
    Digest digest;
    std::copy(bytes->begin(), bytes->end(), digest.octets.begin());
    return digest;
}

void Sha256::Free::operator()(void* context) const { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context)); }

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
    EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_.get()), EVP_sha256(), nullptr);
}

void Sha256::update(ByteView data) {
    EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_.get()), data.data(), data.size());
}

Digest Sha256::finish() {
    Digest digest;
    EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_.get()),
                       reinterpret_cast<unsigned char*>(digest.octets.data()), nullptr);
    return digest;
}

Digest sha256(ByteView data) {
    Sha256 hash;
    hash.update(data);
    return hash.finish();
}

}  // namespace slipway
