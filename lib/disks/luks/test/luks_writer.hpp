// SPDX-License-Identifier: GPL-3.0-or-later
// LUKS volumes for the tests: cryptsetup makes the header, we encrypt the content with the volume key that we gave it,
// since device-mapper may not be there.
#pragma once

#include <openssl/evp.h>

#include "lib/disks/test/checks.hpp"

namespace slipway::disks::test {

// aes-xts-plain64 as dm-crypt writes it: the tweak counts 512-byte sectors, whatever the size of a sector.
inline Bytes encrypt(ByteView plain, const Bytes& key, unsigned sector) {
    Bytes out(plain.size());
    auto* context = EVP_CIPHER_CTX_new();
    for (std::size_t at = 0; at < plain.size(); at += sector) {
        unsigned char tweak[16] = {};
        auto number = at / 512;
        for (int i = 0; i < 8; ++i) tweak[i] = static_cast<unsigned char>(number >> (8 * i));
        int done = 0;
        EXPECT_EQ(EVP_EncryptInit_ex(context, key.size() == 64 ? EVP_aes_256_xts() : EVP_aes_128_xts(), nullptr,
                                     reinterpret_cast<const unsigned char*>(key.data()), tweak),
                  1);
        EXPECT_EQ(
            EVP_EncryptUpdate(context, reinterpret_cast<unsigned char*>(out.data() + at), &done,
                              reinterpret_cast<const unsigned char*>(plain.data() + at), static_cast<int>(sector)),
            1);
    }
    EVP_CIPHER_CTX_free(context);
    return out;
}

struct LuksShape {
    const char* type = "luks2";
    unsigned key_bits = 512, sector = 512;
    std::uint64_t data = 16u << 20;  // where the content begins
};
inline constexpr const char* kLuksUuid = "11a97d0f-f7b6-47e4-b517-e0ec87dbe401";
inline constexpr const char* kLuksPassphrase = "open sesame";

inline void make_luks(const TempDir& dir, const std::filesystem::path& image, ByteView content,
                      const LuksShape& shape = {}) {
    auto key = pattern(shape.key_bits / 8, 99);
    EXPECT_TRUE(write_file_atomic(dir / "volume-key", key).ok());
    make_file(image, shape.data + content.size());
    std::vector<std::string> argv{"cryptsetup",
                                  "luksFormat",
                                  "-q",
                                  "--type",
                                  shape.type,
                                  "--cipher",
                                  "aes-xts-plain64",
                                  "--key-size",
                                  std::to_string(shape.key_bits),
                                  "--volume-key-file",
                                  (dir / "volume-key").string(),
                                  "--pbkdf-force-iterations",
                                  "1000",
                                  "--uuid",
                                  kLuksUuid};
    if (shape.type == std::string_view("luks2"))
        argv.insert(argv.end(),
                    {"--pbkdf", "pbkdf2", "--label", "vault", "--sector-size", std::to_string(shape.sector)});
    argv.insert(argv.end(), {image.string(), "-"});
    run(argv, kLuksPassphrase);
    auto target = FileDisk::open(image, OpenMode::ReadWrite).value();
    EXPECT_TRUE(target->write(shape.data, encrypt(content, key, shape.sector)).ok());
}

}  // namespace slipway::disks::test
