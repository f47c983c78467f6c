// SPDX-License-Identifier: GPL-3.0-or-later
// The structures of a VHD file as bytes: Microsoft "Virtual Hard Disk Image Format Specification" 1.0 (2006), and what
// real files show beyond it. Pure: no file is touched here. Integers are big-endian, text in parent locators is
// UTF-16LE, offsets and sizes are bytes. docs/formats/vhd.md draws the file.
//
//   fixed:                 data | footer
//   dynamic, differencing: footer copy | dynamic header | locator data… | block table | block… | footer
//   block:                 sector bitmap (rounded up to 512) | block_bytes of data
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/uuid.hpp"
#include "lib/disks/vhd/vhd.hpp"

namespace slipway::disks::vhd {

inline constexpr std::size_t kSectorBytes = 512;
inline constexpr std::size_t kFooterBytes = 512;
inline constexpr std::size_t kHeaderBytes = 1024;
inline constexpr std::uint64_t kNoOffset = ~std::uint64_t{0};
inline constexpr std::uint32_t kUnallocated = 0xffffffff;
inline constexpr std::string_view kFooterCookie = "conectix", kHeaderCookie = "cxsparse";
// 2040 GiB in the smallest blocks anyone makes (512 KiB) are 4 Mi entries; more than this is hostile or a mistake.
inline constexpr std::uint32_t kMaxTableEntries = 16u << 20;
inline constexpr std::uint32_t kMinBlockBytes = 4096, kMaxBlockBytes = 256u << 20;
inline constexpr std::size_t kMaxLocatorBytes = 64u << 10;

// "Hard Disk Footer Format".
struct Footer {
    std::uint64_t data_offset = kNoOffset;  // of the dynamic header
    std::uint32_t timestamp = 0;            // seconds since 2000-01-01 UTC
    std::string creator = "win ";           // what the size is taken from depends on it in other readers
    std::uint32_t creator_version = 0x000a0000;
    std::string creator_host = "Wi2k";
    std::uint64_t original_size = 0;  // when it was made; we keep it equal to size, which libvhdi relies on
    std::uint64_t size = 0;
    Chs geometry;
    VhdKind kind = VhdKind::Fixed;
    Uuid id;
    std::uint8_t saved_state = 0;
};

Bytes encode_footer(const Footer& footer);
Result<Footer> parse_footer(ByteView bytes);
// The fields whatever the checksum says; for `check`, which may mend it.
Result<Footer> parse_footer_unchecked(ByteView bytes);

// "Parent Locator Entry": where one spelling of the parent's path lies in the file.
struct ParentLocator {
    std::string platform;           // "W2ru", "W2ku", …; empty when the entry is not used
    std::uint32_t data_space = 0;   // bytes in real files, sectors by the specification
    std::uint32_t data_length = 0;  // bytes
    std::uint64_t data_offset = 0;
};
inline constexpr std::string_view kRelativePath = "W2ru", kAbsolutePath = "W2ku";
inline constexpr std::size_t kLocators = 8;

// "Dynamic Disk Header Format".
struct DynamicHeader {
    std::uint64_t table_offset = 0;
    std::uint32_t entries = 0;
    std::uint32_t block_bytes = kVhdBlockBytes;
    Uuid parent_id;                       // the rest is of differencing disks only
    std::uint32_t parent_timestamp = 0;   // seconds since 2000-01-01 UTC; 0: not kept
    std::string parent_name;              // UTF-8 here, UTF-16BE in the file, 255 units
    std::vector<ParentLocator> locators;  // at most kLocators

    std::uint64_t bitmap_bytes() const {
        auto bits = std::uint64_t{block_bytes} / kSectorBytes;
        return ((bits + 7) / 8 + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
    }
    std::uint64_t table_bytes() const {
        return (std::uint64_t{entries} * 4 + kSectorBytes - 1) / kSectorBytes * kSectorBytes;
    }
};

Bytes encode_header(const DynamicHeader& header);
// Checks the header by itself and against the disk's size.
Result<DynamicHeader> parse_header(ByteView bytes, std::uint64_t disk_size);
Result<DynamicHeader> parse_header_unchecked(ByteView bytes);
Status check_header(const DynamicHeader& header, std::uint64_t disk_size);

// The same bytes with the checksum they ask for.
Bytes with_header_checksum(Bytes bytes);
// A block size a file may have, that needs no more table entries for that disk than a file may have.
Status check_block_bytes(std::uint32_t block_bytes, std::uint64_t disk_size);

std::vector<std::uint32_t> parse_table(ByteView bytes);
Bytes encode_table(const std::vector<std::uint32_t>& table);  // padded to a sector with unallocated entries

// What is wrong with one entry of a table.
struct TableFault {
    std::uint32_t block = 0;
    std::uint32_t entry = 0;
    enum class Kind { BehindEnd, Overlap, InMetadata } kind = Kind::BehindEnd;
    std::uint32_t other = 0;  // Overlap: the block it shares bytes with
};
std::string text_of(const TableFault& fault, const DynamicHeader& header);
// Every entry that leaves the file, lies in the structures before the blocks, or shares bytes with another block.
// At most `limit` are listed.
std::vector<TableFault> check_table(const std::vector<std::uint32_t>& table, const DynamicHeader& header,
                                    std::uint64_t file_size, std::size_t limit);
// The first byte behind everything the structures name inside a file of that size: where the footer belongs.
std::uint64_t end_of_blocks(const std::vector<std::uint32_t>& table, const DynamicHeader& header,
                            std::uint64_t file_size);

// Unpaired surrogates become U+FFFD.
std::string from_utf16(ByteView bytes, bool big_endian);
// Invalid UTF-8 becomes U+FFFD.
Bytes to_utf16(std::string_view utf8, bool big_endian);

std::uint32_t checksum_of(ByteView bytes, std::size_t checksum_at);
std::uint32_t since_2000(std::int64_t unix_seconds);
inline constexpr std::int64_t kEpoch2000 = 946684800;

}  // namespace slipway::disks::vhd
