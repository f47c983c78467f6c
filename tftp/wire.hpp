// SPDX-License-Identifier: GPL-3.0-or-later
// TFTP on the wire: RFC 1350, option extension RFC 2347, blksize RFC 2348, timeout and tsize RFC 2349, windowsize RFC
// 7440.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace slipway::tftp {

enum class Opcode : std::uint16_t {
    ReadRequest = 1,  // RFC 1350 §5
    WriteRequest = 2,
    Data = 3,
    Ack = 4,
    Error = 5,
    OptionAck = 6,  // RFC 2347
};

enum class ErrorCode : std::uint16_t {
    NotDefined = 0,  // RFC 1350 appendix
    FileNotFound = 1,
    AccessViolation = 2,
    DiskFull = 3,
    IllegalOperation = 4,
    UnknownTransferId = 5,
    FileExists = 6,
    NoSuchUser = 7,
    OptionRefused = 8,  // RFC 2347; also how a client ends after asking only for tsize
};

enum class Option { BlockSize, Timeout, TransferSize, WindowSize };

// What a client may ask; outside the range the option is ignored (RFC 2347: not acknowledged).
struct OptionRow {
    Option option;
    std::string_view name;
    std::uint64_t least, most;
};
inline constexpr std::array<OptionRow, 4> kOptions{{
    {Option::BlockSize, "blksize", 8, 65464},  // RFC 2348
    {Option::Timeout, "timeout", 1, 255},      // RFC 2349, seconds
    {Option::TransferSize, "tsize", 0, UINT64_MAX},
    {Option::WindowSize, "windowsize", 1, 65535},  // RFC 7440, blocks
}};

inline constexpr std::uint32_t kDefaultBlock = 512;
inline constexpr std::size_t kMaxRequest = 512;  // RFC 2347: a request fits 512 octets
inline constexpr std::size_t kMaxOptions = 16;

}  // namespace slipway::tftp
