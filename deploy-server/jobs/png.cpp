// SPDX-License-Identifier: GPL-3.0-or-later
#include "deploy-server/jobs/png.hpp"

#include <algorithm>

#include <boost/crc.hpp>

namespace slipway::server {

namespace {
constexpr std::string_view kSignature = "\x89PNG\r\n\x1a\n";
constexpr std::size_t kHeaderSize = 13;

std::uint32_t check_of(ByteView bytes) {
    boost::crc_32_type crc;
    crc.process_bytes(bytes.data(), bytes.size());
    return crc.checksum();
}
}  // namespace

bool is_png(ByteView bytes) {
    ByteReader reader(bytes);
    if (reader.text(kSignature.size()) != kSignature) return false;
    for (bool first = true; !reader.failed(); first = false) {
        const auto length = reader.be32();
        const auto start = reader.offset();
        const auto type = reader.text(4);
        ByteReader data(reader.take(length));
        const auto check = reader.be32();
        if (reader.failed() || check != check_of(bytes.subspan(start, 4 + std::size_t{length}))) return false;
        if (first && (type != "IHDR" || length != kHeaderSize || data.be32() == 0 || data.be32() == 0)) return false;
        if (type == "IEND") return length == 0 && reader.at_end();
    }
    return false;
}

}  // namespace slipway::server
