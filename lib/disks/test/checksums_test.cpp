// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/maps/checksums.hpp"

#include <gtest/gtest.h>

using namespace slipway;
using namespace slipway::disks;

TEST(Checksums, crc32c_has_the_values_of_rfc_3720) {
    EXPECT_EQ(crc32c(Bytes(32)), 0x8a9136aau);
    EXPECT_EQ(crc32c(Bytes(32, std::byte{0xff})), 0x62a8ab43u);
    EXPECT_EQ(crc32c(as_bytes("123456789")), 0xe3069283u);
    EXPECT_EQ(crc32c(as_bytes("456789"), crc32c(as_bytes("123"))), 0xe3069283u);
}

TEST(Checksums, xxh64_has_the_values_of_its_specification) {
    EXPECT_EQ(xxh64({}), 0xef46db3751d8e999u);
    EXPECT_EQ(xxh64(as_bytes("a")), 0xd24ec4f1a98c6e5bu);
    EXPECT_EQ(xxh64(as_bytes("abc")), 0x44bc2cf5ad770999u);
    EXPECT_EQ(xxh64(as_bytes("Nobody inspects the spammish repetition")), 0xfbcea83c8a378bf1u);
}

TEST(Checksums, sha256_has_the_values_of_fips_180) {
    EXPECT_EQ(to_hex(sha256_checksum({})), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(to_hex(sha256_checksum(as_bytes("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"))),
              "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
}

TEST(Checksums, blake2b_has_the_values_of_its_reference) {
    EXPECT_EQ(to_hex(blake2b_256({})), "0e5751c026e543b2e8ab2eb06099daa1d1e5df47778f7787faab45cdf12fe3a8");
    EXPECT_EQ(to_hex(blake2b_256(as_bytes("abc"))), "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
}
