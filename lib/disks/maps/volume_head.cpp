// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/maps/volume_head.hpp"

#include <array>

#include <fmt/format.h>

#include "lib/base/strings.hpp"

namespace slipway::disks {

namespace {

using namespace std::string_view_literals;

void append_utf8(std::string& out, std::uint32_t c) {
    auto byte = [&](std::uint32_t value) { out += static_cast<char>(value); };
    if (c < 0x80) {
        byte(c);
    } else if (c < 0x800) {
        byte(0xc0 | c >> 6);
        byte(0x80 | (c & 0x3f));
    } else if (c < 0x10000) {
        byte(0xe0 | c >> 12);
        byte(0x80 | (c >> 6 & 0x3f));
        byte(0x80 | (c & 0x3f));
    } else {
        byte(0xf0 | c >> 18);
        byte(0x80 | (c >> 12 & 0x3f));
        byte(0x80 | (c >> 6 & 0x3f));
        byte(0x80 | (c & 0x3f));
    }
}

struct Owner {
    std::size_t offset;
    std::string_view bytes;
    std::string_view name;
};

constexpr std::array kOwners{
    Owner{0x438, "\x53\xef"sv, "ext"},     Owner{0x18, "LABELONE"sv, "lvm2"},
    Owner{0x200, "LABELONE"sv, "lvm2"},    Owner{0x400, "LABELONE"sv, "lvm2"},
    Owner{0x600, "LABELONE"sv, "lvm2"},    Owner{0x1000, "\xfc\x4e\x2b\xa9"sv, "mdraid"},
    Owner{0x10040, "_BHRfS_M"sv, "btrfs"},
};

}  // namespace

std::string utf16_label(ByteView bytes) {
    std::string out;
    ByteReader reader(bytes);
    std::uint32_t high = 0;
    while (reader.remaining() >= 2) {
        std::uint32_t unit = reader.le16();
        if (unit == 0) break;
        bool low = unit >= 0xdc00 && unit < 0xe000;
        if (high != 0 && !low) append_utf8(out, 0xfffd);
        if (unit >= 0xd800 && unit < 0xdc00) {
            high = unit;
            continue;
        }
        if (low) unit = high != 0 ? 0x10000 + ((high - 0xd800) << 10) + (unit - 0xdc00) : 0xfffd;
        append_utf8(out, unit);
        high = 0;
    }
    if (high != 0) append_utf8(out, 0xfffd);
    return printable(out);
}

std::string serial_text(std::uint32_t serial) { return fmt::format("{:04X}-{:04X}", serial >> 16, serial & 0xffff); }

std::string_view other_owner(ByteView head) {
    for (const auto& owner : kOwners)
        if (head.size() >= owner.offset + owner.bytes.size() &&
            as_text(head.subspan(owner.offset, owner.bytes.size())) == owner.bytes)
            return owner.name;
    return {};
}

std::string reason_of(const Error& error) {
    auto text = error.describe();
    if (auto name = text.rfind(" ["); name != std::string::npos) text.resize(name);
    return text;
}

}  // namespace slipway::disks
