// SPDX-License-Identifier: GPL-3.0-or-later
#include "guest-fixup/windows/regf.hpp"

#include "lib/base/bytes.hpp"
#include "lib/disks/vhd/format.hpp"

namespace slipway::fixup::windows::regf {
namespace {

std::uint64_t little(std::string_view bytes, std::size_t at, std::size_t count) {
    if (at > bytes.size() || bytes.size() - at < count) return 0;
    std::uint64_t value = 0;
    for (std::size_t i = count; i-- > 0;) value = value << 8 | static_cast<std::uint8_t>(bytes[at + i]);
    return value;
}

void put_little(std::string& bytes, std::size_t at, std::size_t count, std::uint64_t value) {
    if (at > bytes.size() || bytes.size() - at < count) return;
    for (std::size_t i = 0; i < count; ++i) bytes[at + i] = static_cast<char>(value >> (8 * i));
}

}  // namespace

std::uint16_t le16(std::string_view bytes, std::size_t at) { return static_cast<std::uint16_t>(little(bytes, at, 2)); }
std::uint32_t le32(std::string_view bytes, std::size_t at) { return static_cast<std::uint32_t>(little(bytes, at, 4)); }
std::uint64_t le64(std::string_view bytes, std::size_t at) { return little(bytes, at, 8); }
void put_le16(std::string& bytes, std::size_t at, std::uint16_t value) { put_little(bytes, at, 2, value); }
void put_le32(std::string& bytes, std::size_t at, std::uint32_t value) { put_little(bytes, at, 4, value); }

std::uint32_t base_checksum(std::string_view bytes) {
    std::uint32_t sum = 0;
    for (std::size_t at = 0; at < kChecksum; at += 4) sum ^= le32(bytes, at);
    return sum == 0xffffffff ? 0xfffffffe : sum == 0 ? 1 : sum;
}

void set_checksum(std::string& bytes) { put_le32(bytes, kChecksum, base_checksum(bytes)); }

std::optional<BaseBlock> read_base_block(std::string_view bytes) {
    if (bytes.size() < 512 || !bytes.starts_with("regf")) return std::nullopt;
    BaseBlock base;
    base.sequence1 = le32(bytes, kSequence1);
    base.sequence2 = le32(bytes, kSequence2);
    base.written = le64(bytes, kWritten);
    base.major = le32(bytes, kMajor);
    base.minor = le32(bytes, kMinor);
    base.type = le32(bytes, kFileType);
    base.root = le32(bytes, kRootCell);
    base.bins_size = le32(bytes, kBinsSize);
    base.clusters = le32(bytes, kBinsSize + 4);
    base.flags = le32(bytes, kFlags);
    base.checksum_right = le32(bytes, kChecksum) == base_checksum(bytes);
    return base;
}

std::string_view cell_at(std::string_view hive, std::uint32_t offset) {
    const std::size_t at = kBaseBlock + offset;
    if (offset == kNone || at > hive.size() || hive.size() - at < 4) return {};
    const auto size = static_cast<std::int32_t>(le32(hive, at));
    if (size >= 0 || size == INT32_MIN) return {};
    const auto length = static_cast<std::size_t>(-size);
    if (length < 4 || hive.size() - at < length) return {};
    return hive.substr(at + 4, length - 4);
}

std::optional<KeyNode> read_key_node(std::string_view cell) {
    constexpr std::size_t kFixed = 76;
    if (cell.size() < kFixed || !cell.starts_with("nk")) return std::nullopt;
    KeyNode key;
    key.flags = le16(cell, 2);
    key.parent = le32(cell, 16);
    key.subkeys = le32(cell, 20);
    key.subkey_list = le32(cell, 28);
    key.values = le32(cell, 36);
    key.value_list = le32(cell, 40);
    key.security = le32(cell, 44);
    key.class_name = le32(cell, 48);
    const auto length = le16(cell, 72);
    key.class_length = le16(cell, 74);
    if (cell.size() - kFixed < length) return std::nullopt;
    key.name = cell.substr(kFixed, length);
    return key;
}

std::optional<KeyValue> read_key_value(std::string_view cell) {
    constexpr std::size_t kFixed = 20;
    if (cell.size() < kFixed || !cell.starts_with("vk")) return std::nullopt;
    KeyValue value;
    const auto length = le16(cell, 2);
    const auto size = le32(cell, 4);
    value.in_place = (size & 0x80000000) != 0;
    value.size = size & 0x7fffffff;
    value.data = le32(cell, 8);
    value.type = le32(cell, 12);
    value.latin1 = (le16(cell, 16) & 1) != 0;
    if (cell.size() - kFixed < length || (value.in_place && value.size > 4)) return std::nullopt;
    value.name = cell.substr(kFixed, length);
    return value;
}

std::optional<SubkeyList> read_subkey_list(std::string_view cell) {
    if (cell.size() < 4) return std::nullopt;
    SubkeyList list;
    const auto kind = cell.substr(0, 2);
    if (kind == "lf") list.kind = ListKind::FastLeaf;
    else if (kind == "lh") list.kind = ListKind::HashLeaf;
    else if (kind == "li") list.kind = ListKind::Leaf;
    else if (kind == "ri") list.kind = ListKind::Root;
    else return std::nullopt;
    list.count = le16(cell, 2);
    list.elements = cell.substr(4);
    if (list.elements.size() < list.count * list.stride()) return std::nullopt;
    return list;
}

std::optional<BigData> read_big_data(std::string_view cell) {
    if (cell.size() < 8 || !cell.starts_with("db")) return std::nullopt;
    return BigData{le16(cell, 2), le32(cell, 4)};
}

std::optional<std::string> data_of(std::string_view hive, const KeyValue& value) {
    if (value.in_place) {
        std::string data(4, '\0');
        put_le32(data, 0, value.data);
        data.resize(value.size);
        return data;
    }
    if (value.size == 0) return std::string();
    const auto cell = cell_at(hive, value.data);
    if (cell.size() >= value.size) return std::string(cell.substr(0, value.size));
    const auto big = read_big_data(cell);
    if (!big) return std::nullopt;
    const auto list = cell_at(hive, big->list);
    if (value.size > hive.size() || list.size() < big->segments * std::size_t{4}) return std::nullopt;
    std::string data;
    for (std::size_t i = 0; i < big->segments && data.size() < value.size; ++i) {
        const auto part = cell_at(hive, le32(list, i * 4));
        const auto want = std::min<std::size_t>(kSegment, value.size - data.size());
        if (part.size() < want) return std::nullopt;
        data += part.substr(0, want);
    }
    if (data.size() != value.size) return std::nullopt;
    return data;
}

std::string from_utf16(std::string_view bytes) {
    bytes = bytes.substr(0, bytes.size() & ~std::size_t{1});
    std::string text;
    for (;;) {  // the helper stops at a NUL
        std::size_t end = 0;
        while (end < bytes.size() && le16(bytes, end) != 0) end += 2;
        text += disks::vhd::from_utf16(as_bytes(bytes.substr(0, end)), false);
        if (end == bytes.size()) return text;
        text += '\0';
        bytes.remove_prefix(end + 2);
    }
}

std::string to_utf16(std::string_view utf8) { return std::string(as_text(disks::vhd::to_utf16(utf8, false))); }

std::string name_text(std::string_view name, bool latin1) {
    if (!latin1) return from_utf16(name);
    std::string text;
    for (const char c : name) {
        const auto code = static_cast<std::uint8_t>(c);
        if (code < 0x80) text += c;
        else text += {static_cast<char>(0xc0 | code >> 6), static_cast<char>(0x80 | (code & 0x3f))};
    }
    return text;
}

std::string folded(std::string_view utf8) {
    auto units = to_utf16(utf8);
    for (std::size_t at = 0; at + 1 < units.size(); at += 2) {
        std::uint16_t c = le16(units, at);
        if ((c >= 'a' && c <= 'z') || (c >= 0xe0 && c <= 0xfe && c != 0xf7)) c -= 0x20;
        else if (c == 0xff) c = 0x178;
        else if (c >= 0x3b1 && c <= 0x3cb && c != 0x3c2) c -= 0x20;  // Greek
        else if (c >= 0x430 && c <= 0x44f) c -= 0x20;                // Cyrillic
        else if (c >= 0x450 && c <= 0x45f) c -= 0x50;
        put_le16(units, at, c);
    }
    return units;
}

}  // namespace slipway::fixup::windows::regf
