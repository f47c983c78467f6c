// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/volumes/luks.hpp"

namespace slipway::disks {

namespace {

using namespace std::string_view_literals;
constexpr auto kMagic = "LUKS\xba\xbe"sv;
constexpr std::size_t kLabel = 24, kLabelBytes = 48, kUuid = 168, kUuidBytes = 40;

std::string text_at(ByteView head, std::size_t at, std::size_t bytes) {
    ByteReader in(head);
    in.seek(at);
    auto field = in.text(bytes);
    return std::string(field.substr(0, field.find('\0')));
}

}  // namespace

std::optional<LuksHeader> parse_luks_header(ByteView head) {
    ByteReader in(head);
    if (in.text(kMagic.size()) != kMagic) return std::nullopt;
    LuksHeader header;
    header.version = in.be16();
    if (in.failed() || (header.version != 1 && header.version != 2)) return std::nullopt;
    header.uuid = text_at(head, kUuid, kUuidBytes);
    if (header.version == 2) header.label = text_at(head, kLabel, kLabelBytes);
    return header;
}

}  // namespace slipway::disks
