// SPDX-License-Identifier: GPL-3.0-or-later
// Network Block Device (the NBD project's doc/proto.md), the server's side: one disk for one client on a connected
// stream, by fixed newstyle negotiation. It gives QEMU the disks that QEMU reads otherwise than we do, or cannot write:
// differencing VHDs, VHDs whose size other programs take from CHS. Served: READ, WRITE, FLUSH, FUA, DISC.
#pragma once

#include <span>

#include "lib/disks/block.hpp"

namespace slipway::disks::nbd {

// docs: proto.md, "Handshake", "Option types", "Option reply types", "Request types", "Error values".
enum class Option : std::uint32_t { ExportName = 1, Abort = 2, List = 3, Info = 6, Go = 7 };
enum class Reply : std::uint32_t { Ack = 1, Info = 3, Unsupported = 0x80000001, Invalid = 0x80000003 };
enum class Command : std::uint16_t { Read = 0, Write = 1, Disconnect = 2, Flush = 3 };
enum class Failure : std::uint32_t { None = 0, NotPermitted = 1, Io = 5, Invalid = 22, NoSpace = 28 };

inline constexpr std::uint64_t kInitMagic = 0x4e42444d41474943;    // "NBDMAGIC"
inline constexpr std::uint64_t kOptionMagic = 0x49484156454f5054;  // "IHAVEOPT"
inline constexpr std::uint64_t kReplyMagic = 0x0003e889045565a9;
inline constexpr std::uint32_t kRequestMagic = 0x25609513;
inline constexpr std::uint32_t kSimpleReplyMagic = 0x67446698;
inline constexpr std::uint16_t kFixedNewstyle = 1, kNoZeroes = 2;  // of the handshake
inline constexpr std::uint16_t kHasFlags = 1, kReadOnly = 2, kSendFlush = 4, kSendFua = 8;
inline constexpr std::uint16_t kFua = 1;  // of a command
inline constexpr std::uint32_t kMaxOption = 4096, kMaxLength = 32u << 20, kMaxOptions = 64;

// The connection; for the tests and the fuzzer it is memory.
class Stream {
public:
    virtual ~Stream() = default;
    // False: the other side ended before the first byte. An end in the middle is an error.
    virtual Result<bool> read(std::span<std::byte> buffer) = 0;
    virtual Status write(ByteView bytes) = 0;
};

// Until the client leaves, or the stream ends. What the disk refuses is answered, and goes on; an error is one of the
// stream or the client. Not flushed at the end: that is the caller's.
Status serve(Stream& stream, BlockDevice& disk, bool read_only);
Status serve(int socket, BlockDevice& disk, bool read_only);

}  // namespace slipway::disks::nbd
