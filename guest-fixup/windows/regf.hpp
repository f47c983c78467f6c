// SPDX-License-Identifier: GPL-3.0-or-later
// The registry file ("regf") on disk: its header and its records, read where they lie. Pure. All numbers are little
// endian; offsets of cells count from the end of the base block. Source: https://github.com/msuhanov/regf, "Format of
// primary files"; section names below are its own.
//
//   base block 4096 | hive bin, hive bin …            a bin: header 32, then cells without gaps
//   cell: i32 size (negative: in use), data           sizes are multiples of 8
//   nk key -> list of subkeys (lf, lh, li, or ri: a list of such lists), list of values -> vk -> data
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace slipway::fixup::windows::regf {

inline constexpr std::size_t kBaseBlock = 0x1000;
inline constexpr std::size_t kBinHeader = 32;
inline constexpr std::size_t kBinUnit = 0x1000;
inline constexpr std::uint32_t kNone = 0xffffffff;  // an offset that points nowhere
// "Big data": longer data lies in segments of this size, from minor version 4 on.
inline constexpr std::size_t kSegment = 16344;
inline constexpr std::size_t kLargestHive = 512u << 20;  // ours; Windows' own limit for SYSTEM is smaller
inline constexpr std::size_t kDeepest = 512;             // levels of keys, Windows' own

std::uint16_t le16(std::string_view bytes, std::size_t at);  // 0 behind the end
std::uint32_t le32(std::string_view bytes, std::size_t at);
std::uint64_t le64(std::string_view bytes, std::size_t at);
void put_le16(std::string& bytes, std::size_t at, std::uint16_t value);  // nothing behind the end
void put_le32(std::string& bytes, std::size_t at, std::uint32_t value);

// ---- Base block. Offsets of its fields:
inline constexpr std::size_t kSequence1 = 4, kSequence2 = 8, kWritten = 12, kMajor = 20, kMinor = 24, kFileType = 28,
                             kFileFormat = 32, kRootCell = 36, kBinsSize = 40, kFlags = 144, kChecksum = 508;
struct BaseBlock {
    std::uint32_t sequence1 = 0, sequence2 = 0;
    std::uint64_t written = 0;  // FILETIME
    std::uint32_t major = 0, minor = 0;
    std::uint32_t type = 0;  // 0 hive; 1, 2 (Windows 2000): old log; 6: new log
    std::uint32_t root = 0, bins_size = 0, clusters = 0, flags = 0;
    bool checksum_right = false;
    bool whole() const { return checksum_right && sequence1 == sequence2; }
};
// Of a hive or a log: its first 512 bytes. nullopt: shorter, or not "regf".
std::optional<BaseBlock> read_base_block(std::string_view bytes);
std::uint32_t base_checksum(std::string_view bytes);  // of at least 508 bytes
void set_checksum(std::string& bytes);

// ---- Cells
// The data of the allocated cell at `offset`; empty when it has no header, is free, or leaves the file.
std::string_view cell_at(std::string_view hive, std::uint32_t offset);

enum KeyFlags : std::uint16_t { kHiveEntry = 0x04, kNameInLatin1 = 0x20, kPredefinedHandle = 0x40 };
struct KeyNode {
    std::uint16_t flags = 0;
    std::uint32_t parent = 0, subkeys = 0, subkey_list = kNone, values = 0, value_list = kNone, security = kNone,
                  class_name = kNone;
    std::uint16_t class_length = 0;
    std::string_view name;  // as it lies there
    bool latin1() const { return (flags & kNameInLatin1) != 0; }
    // Of a predefined handle, the count of values is the handle.
    std::uint32_t value_count() const { return (flags & kPredefinedHandle) ? 0 : values; }
};
std::optional<KeyNode> read_key_node(std::string_view cell);

struct KeyValue {
    std::uint32_t size = 0;   // of the data
    bool in_place = false;    // size <= 4, in the field of the offset
    std::uint32_t data = 0;   // offset of its cell, or the data itself
    std::uint32_t type = 0;
    bool latin1 = false;
    std::string_view name;
};
std::optional<KeyValue> read_key_value(std::string_view cell);

enum class ListKind { Leaf, HashLeaf, FastLeaf, Root };  // li, lh, lf, ri
struct SubkeyList {
    ListKind kind = ListKind::Leaf;
    std::uint16_t count = 0;
    std::string_view elements;
    std::size_t stride() const { return kind == ListKind::HashLeaf || kind == ListKind::FastLeaf ? 8 : 4; }
    std::uint32_t at(std::size_t index) const { return le32(elements, index * stride()); }
};
std::optional<SubkeyList> read_subkey_list(std::string_view cell);  // nullopt: none, or longer than its cell

struct BigData {
    std::uint16_t segments = 0;
    std::uint32_t list = kNone;
};
std::optional<BigData> read_big_data(std::string_view cell);

// The data of a value, whole; nullopt where it is not all there. At most as long as the hive.
std::optional<std::string> data_of(std::string_view hive, const KeyValue& value);

// ---- Names
std::string name_text(std::string_view name, bool latin1);  // as UTF-8
// Names that Windows takes for the same fold to the same: upper case of ASCII, Latin-1, Greek and Cyrillic.
std::string folded(std::string_view utf8);
std::string from_utf16(std::string_view bytes);  // little endian; lone surrogates become U+FFFD, an odd last byte goes
std::string to_utf16(std::string_view utf8);

}  // namespace slipway::fixup::windows::regf
