// SPDX-License-Identifier: GPL-3.0-or-later
// Multicast packets, as docs/protocols/multicast.md has them: header, body, tag. Here are header and body; seal.hpp has
// the tag. All integers big-endian. Parsers take hostile bytes: what they refuse is multicast.bad-packet.
#pragma once

#include <cstdint>
#include <variant>
#include <vector>

#include "lib/base/bytes.hpp"
#include "lib/base/result.hpp"

namespace slipway::multicast {

inline constexpr std::uint8_t kVersion = 1;
inline constexpr std::size_t kHeaderBytes = 24, kTagBytes = 16, kDataHeadBytes = 12;
inline constexpr std::size_t kMaxPacket = 9000 - 48;  // the largest Ethernet frame there is, without IPv6 and UDP
inline constexpr std::size_t kMaxDeficits = 150;      // in one packet of an Ethernet of 1500
inline constexpr std::size_t kMaxAside = 300;         // and receivers
inline constexpr std::uint32_t kSenderSource = 0;
// Backoffs between two reports of a receiver that has nothing to ask for; at the end of a round until that is over.
inline constexpr unsigned kHeartbeats = 20, kEndBeats = 4;
// What was lost is told of by blocks of so many packet numbers, in each report of so many of them, which may be each
// 2^stride-th one alone; and sooner than by the next heartbeat.
inline constexpr unsigned kToldPackets = 64, kToldBlocks = 16, kMaxStride = 6, kLossBeats = 5;

enum class PacketType : std::uint8_t { Data = 1, Sync = 2, Aside = 3, Report = 16 };

// 0 version:u8  1 type:u8  2 flags:u8 (bit 0: body in the clear)  3 zero:u8  4 source:u32  8 session:u64  16 number:u64
struct Header {
    PacketType type = PacketType::Data;
    bool clear = false;
    std::uint32_t source = kSenderSource;
    std::uint64_t session = 0, number = 0;
    friend bool operator==(const Header&, const Header&) = default;
};

// 0 chunk:u32  4 block:u16  6 symbol:u16  8 length:u32, then the symbol
struct DataBody {
    std::uint32_t chunk = 0;   // its number in the plan
    std::uint16_t block = 0;   // of the chunk
    std::uint16_t symbol = 0;  // below the block's k source, above it parity
    std::uint32_t length = 0;  // of the encoded chunk
    ByteView payload;          // of the packet it was read from
};

// kWholeChunk: nothing came of this chunk, so that its blocks are not known; missing is 255 then.
inline constexpr std::uint16_t kWholeChunk = 0xffff;
struct Deficit {
    std::uint32_t chunk = 0;
    std::uint16_t block = 0;
    std::uint8_t missing = 0;
    friend bool operator==(const Deficit&, const Deficit&) = default;
};

enum class SyncState : std::uint8_t { Running = 0, RoundEnds = 1, Paused = 2, Over = 3 };

// 0 state:u8  1 round:u24  4 rate:u32  8 next:u32  12 backoff:u16  14 count:u16, then deficits of 8 bytes
struct SyncBody {
    SyncState state = SyncState::Running;
    std::uint32_t round = 0;       // below 2^24
    std::uint32_t rate_kbits = 0;  // of this session now
    std::uint32_t next = 0;        // what is missing of this round's chunks below it is to be reported
    std::uint16_t backoff_ms = 0;  // a receiver speaks once in it, at a random moment
    std::vector<Deficit> known;    // what the sender will repair anyway
};

// 0 count:u16, then the numbers of receivers, u32
struct AsideBody {
    std::vector<std::uint32_t> receivers;  // are to leave the group and to ask the server what to do
};

// 0 newest:u64  8 received:u32  12 expected:u32  16 block:u64  24 room:u32  28 written:u32  32 flags:u8  33 stride:u8
// 34 held:u16  36 told:u16  38 count:u16, then blocks of 8 bytes, then deficits
struct ReportBody {
    std::uint64_t newest = 0;                  // number of the newest packet it has
    std::uint32_t received = 0, expected = 0;  // packets since its last report
    // Bit i of lost[j]: packet 64 * (block - j * 2^stride) + i did not come. 2^stride divides block.
    std::uint64_t block = 0;
    std::uint8_t stride = 0;
    std::vector<std::uint64_t> lost;  // at most kToldBlocks
    std::uint16_t held_ms = 0;        // since the newest packet came
    std::uint32_t room_kib = 0;       // memory for chunks under way
    std::uint32_t written_kib = 0;    // a second that its disk takes; 0: it has not written yet
    bool disk_behind = false;         // less than half of its room is left, or none was
    bool round_complete = false;      // it lacks nothing of this round
    std::vector<Deficit> wanted;
};

using Body = std::variant<DataBody, SyncBody, AsideBody, ReportBody>;

struct Packet {
    Header header;
    Body body;
};

// Of the first bytes of a packet, before anything of it is believed.
Result<Header> parse_header(ByteView packet);
// body: without header and tag. The payload of DATA refers to it.
Result<Body> parse_body(PacketType type, ByteView body);

void write_header(const Header& header, ByteWriter& to);
void write_body(const DataBody& body, ByteWriter& to);
void write_body(const SyncBody& body, ByteWriter& to);   // at most kMaxDeficits of known
void write_body(const AsideBody& body, ByteWriter& to);  // at most kMaxAside of them
void write_body(const ReportBody& body, ByteWriter& to);

}  // namespace slipway::multicast
