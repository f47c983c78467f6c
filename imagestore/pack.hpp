// SPDX-License-Identifier: GPL-3.0-or-later
// The bytes of a pack, version 1 (all integers little-endian; docs/formats/imagestore.md has the
// same). Every byte is under a CRC-32C (RFC 3720 B.4), so every flipped bit is found.
//   pack   = header record* index footer
//   header = "SLIPPACK" version:u16=1 size:u16=64 flags:u32=0 id[16] created:u64 (ms since 1970)
//            zero[20] crc:u32 (of the 60 bytes before)                                (64 bytes)
//   record = "CHNK" length:u32 id[32] crc:u32 (of the 40 bytes before, then the chunk)
//            zero:u32 chunk[length]      chunk = codec byte + payload (48 + length bytes)
//   index  = (id[32] offset:u64 length:u32)*  sorted by id, one a record             (44 bytes each)
//            offset = of the record in the file, length = of its chunk
//   footer = "SLIPPEND" version:u16=1 size:u16=64 count:u32 index_offset:u64 index_crc:u32
//            zero[4] id[16] (as the header) zero[12] crc:u32 (of the 60 bytes before) (64 bytes)
// A temporary pack is the same without index and footer; records after the last whole one are cut.
#pragma once

#include <functional>
#include <vector>

#include "imagestore/chunk.hpp"
#include "lib/base/uuid.hpp"

namespace slipway::imagestore {

inline constexpr std::size_t kPackHeaderBytes = 64;
inline constexpr std::size_t kPackFooterBytes = 64;
inline constexpr std::size_t kRecordHeaderBytes = 48;
inline constexpr std::size_t kIndexEntryBytes = 44;
inline constexpr std::uint64_t kMaxPackBytes = (4ull << 30) - 1;  // offsets fit 32 bits in memory

struct PackEntry {
    ChunkId id;
    std::uint64_t offset = 0;  // of the record
    std::uint32_t length = 0;  // of the encoded chunk
    std::uint64_t end() const { return offset + kRecordHeaderBytes + length; }
};

struct PackFooter {
    Uuid id;
    std::uint32_t count = 0;
    std::uint64_t index_offset = 0;
    std::uint32_t index_crc = 0;
};

struct RecordHeader {
    std::uint32_t length = 0;
    ChunkId id;
    std::uint32_t crc = 0;
};

// CRC-32C; continue with the previous value.
std::uint32_t crc32c(ByteView bytes, std::uint32_t previous = 0);

Bytes encode_pack_header(const Uuid& id, std::uint64_t created_ms);
Result<Uuid> parse_pack_header(ByteView bytes);
Bytes encode_record_header(const ChunkId& id, ByteView chunk);
Result<RecordHeader> parse_record_header(ByteView bytes);  // exactly kRecordHeaderBytes; lengths checked
// The chunk against the header's CRC.
Status check_record(ByteView header, ByteView chunk);
Bytes encode_index(std::vector<PackEntry>& entries);  // sorts them
Result<std::vector<PackEntry>> parse_index(ByteView bytes, const PackFooter& footer);
Bytes encode_footer(const PackFooter& footer);
// file_bytes: of the whole pack; the footer must describe exactly that many.
Result<PackFooter> parse_footer(ByteView bytes, std::uint64_t file_bytes);

}  // namespace slipway::imagestore
