// SPDX-License-Identifier: GPL-3.0-or-later
// TFTP packets to and from bytes.
#pragma once

#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"
#include "tftp/wire.hpp"

namespace slipway::tftp {

using OptionList = std::vector<std::pair<std::string, std::string>>;  // name in lower case, value
// What the first option of that name asks; nullopt when it is absent or not a number of the row's range.
std::optional<std::uint64_t> value_of(const OptionList& options, const OptionRow& row);

struct Request {
    bool write = false;
    std::string file;
    std::string mode;  // lower case: "octet", "netascii"
    OptionList options;
};
struct Data {
    std::uint16_t block = 0;
    Bytes payload;
};
struct Ack {
    std::uint16_t block = 0;
};
struct ErrorPacket {
    ErrorCode code = ErrorCode::NotDefined;
    std::string message;
};
struct OptionAck {
    OptionList options;
};
using Packet = std::variant<Request, Data, Ack, ErrorPacket, OptionAck>;

Result<Packet> parse_packet(ByteView bytes);
Bytes encode_packet(const Packet& packet);
// An error in at most `limit` bytes (an error without text is 5): its text is cut.
Bytes encode_error(const ErrorPacket& error, std::size_t limit);
inline constexpr std::size_t kHeader = 4;  // of DATA: opcode and block
std::array<std::byte, kHeader> data_header(std::uint16_t block);

}  // namespace slipway::tftp
