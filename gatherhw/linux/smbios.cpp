// SPDX-License-Identifier: GPL-3.0-or-later
#include "gatherhw/linux/smbios.hpp"

#include <vector>

#include "lib/base/strings.hpp"
#include "lib/base/uuid.hpp"

namespace slipway::gatherhw {

namespace {

constexpr std::uint8_t kBios = 0, kSystem = 1, kMemoryDevice = 17, kEnd = 127;

struct Structure {
    std::uint8_t type = 0;
    ByteView formatted;  // with its 4-byte header
    std::vector<std::string> strings;

    std::uint64_t number(std::size_t offset, int bytes) const {
        if (offset + static_cast<std::size_t>(bytes) > formatted.size()) return 0;
        ByteReader reader(formatted);
        reader.seek(offset);
        return bytes == 1 ? reader.u8() : bytes == 2 ? reader.le16() : reader.le32();
    }
    std::string text(std::size_t offset) const {
        auto index = number(offset, 1);
        return index == 0 || index > strings.size() ? "" : strings[index - 1];
    }
};

bool next_structure(ByteReader& reader, Structure& out) {
    auto start = reader.offset();
    out.type = reader.u8();
    auto length = reader.u8();
    if (reader.failed() || length < 4) return false;
    reader.seek(start);
    out.formatted = reader.take(length);
    out.strings.clear();
    std::string text;
    for (;;) {
        auto c = reader.u8();
        if (reader.failed()) return false;
        if (c != 0) {
            text += static_cast<char>(c);
            continue;
        }
        if (text.empty()) break;
        out.strings.emplace_back(trim(text));
        text.clear();
    }
    if (out.strings.empty() && reader.remaining() > 0) reader.skip(1);  // an empty string set is two zeros
    return true;
}

// DSP0134 7.18: size in MiB, in KiB when bit 15 is set, 0x7fff: see the extended size.
std::uint64_t memory_of(const Structure& device) {
    auto size = device.number(0x0c, 2);
    if (size == 0xffff) return 0;
    if (size == 0x7fff) return (device.number(0x1c, 4) & 0x7fffffff) << 20;
    return size & 0x8000 ? (size & 0x7fff) << 10 : size << 20;
}

std::string uuid_of(const Structure& system, bool guid) {
    if (system.formatted.size() < 0x18) return {};
    Uuid uuid;
    auto bytes = system.formatted.subspan<8, 16>();
    if (guid) uuid = Uuid::from_guid(bytes);
    else std::copy(bytes.begin(), bytes.end(), uuid.octets.begin());
    return uuid.is_zero() ? "" : uuid.text();
}

}  // namespace

Smbios parse_smbios(ByteView table, bool uuid_is_guid) {
    Smbios out;
    ByteReader reader(table);
    Structure s;
    while (next_structure(reader, s) && s.type != kEnd) {
        if (s.type == kBios) {
            out.bios_vendor = s.text(4);
            out.bios_version = s.text(5);
            out.bios_date = s.text(8);
        } else if (s.type == kSystem) {
            out.manufacturer = s.text(4);
            out.model = s.text(5);
            out.serial = s.text(7);
            out.uuid = uuid_of(s, uuid_is_guid);
        } else if (s.type == kMemoryDevice) {
            out.memory_bytes += memory_of(s);
        }
    }
    return out;
}

}  // namespace slipway::gatherhw
