// SPDX-License-Identifier: GPL-3.0-or-later
// The checksums file systems put over their metadata. They tell damage, not forgery, and are our own so that the
// static inventory program and the ramdisk need no crypto library for them.
#pragma once

#include <array>
#include <cstdint>

#include "lib/base/bytes.hpp"

namespace slipway::disks {

// Castagnoli's polynomial, reflected, all ones before and after (RFC 3720, appendix B.4).
// Pieces: crc32c(b, crc32c(a)) is crc32c(a then b).
std::uint32_t crc32c(ByteView data, std::uint32_t before = 0);
// xxHash specification 0.1.1, XXH64 with seed 0.
std::uint64_t xxh64(ByteView data);
// FIPS 180-4.
std::array<std::byte, 32> sha256_checksum(ByteView data);
// RFC 7693, BLAKE2b with a digest of 32 bytes and no key.
std::array<std::byte, 32> blake2b_256(ByteView data);

}  // namespace slipway::disks
