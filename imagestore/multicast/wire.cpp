// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/wire.hpp"

#include <algorithm>

#include "imagestore/multicast/errors.hpp"

namespace slipway::multicast {

namespace {

Result<std::vector<Deficit>> read_deficits(ByteReader& reader, std::size_t count) {
    if (count > kMaxDeficits || reader.remaining() != count * 8)
        return make_error(errors::kBadPacket, "{} deficits in {} bytes", count, reader.remaining());
    std::vector<Deficit> out;
    out.reserve(count);
    for (std::size_t i = 0; i < count; ++i) {
        Deficit d{reader.be32(), reader.be16(), reader.u8()};
        if (reader.u8() != 0 || d.missing == 0) return make_error(errors::kBadPacket, "a deficit of nothing");
        out.push_back(d);
    }
    return out;
}

std::size_t count_of(const std::vector<Deficit>& deficits) { return std::min(deficits.size(), kMaxDeficits); }

void write_deficits(const std::vector<Deficit>& deficits, ByteWriter& to) {
    for (std::size_t i = 0; i < count_of(deficits); ++i)
        to.be32(deficits[i].chunk).be16(deficits[i].block).u8(deficits[i].missing).u8(0);
}

Result<Body> read_data(ByteView body) {
    ByteReader reader(body);
    DataBody data;
    data.chunk = reader.be32();
    data.block = reader.be16();
    data.symbol = reader.be16();
    data.length = reader.be32();
    if (reader.failed() || reader.at_end()) return make_error(errors::kBadPacket, "DATA of {} bytes", body.size());
    data.payload = reader.take(reader.remaining());
    return Body(data);
}

Result<Body> read_sync(ByteView body) {
    ByteReader reader(body);
    SyncBody sync;
    const auto state = reader.u8();
    sync.state = static_cast<SyncState>(state);
    sync.round = static_cast<std::uint32_t>(reader.u8()) << 16;
    sync.round |= reader.be16();
    sync.rate_kbits = reader.be32();
    sync.next = reader.be32();
    sync.backoff_ms = reader.be16();
    const auto count = reader.be16();
    if (reader.failed() || state > static_cast<std::uint8_t>(SyncState::Over))
        return make_error(errors::kBadPacket, "SYNC of {} bytes in state {}", body.size(), state);
    sync.known = TRY(read_deficits(reader, count));
    return Body(std::move(sync));
}

Result<Body> read_aside(ByteView body) {
    ByteReader reader(body);
    const auto count = reader.be16();
    if (reader.failed() || count == 0 || count > kMaxAside || reader.remaining() != count * std::size_t{4})
        return make_error(errors::kBadPacket, "ASIDE of {} bytes", body.size());
    AsideBody aside;
    aside.receivers.reserve(count);
    for (unsigned i = 0; i < count; ++i) {
        aside.receivers.push_back(reader.be32());
        if (aside.receivers.back() == kSenderSource) return make_error(errors::kBadPacket, "the sender, aside");
    }
    return Body(std::move(aside));
}

Result<Body> read_report(ByteView body) {
    ByteReader reader(body);
    ReportBody report;
    report.newest = reader.be64();
    report.received = reader.be32();
    report.expected = reader.be32();
    report.block = reader.be64();
    report.room_kib = reader.be32();
    report.written_kib = reader.be32();
    const auto flags = reader.u8();
    report.stride = reader.u8();
    report.held_ms = reader.be16();
    const auto told = reader.be16(), count = reader.be16();
    if (reader.failed() || flags > 3 || report.stride > kMaxStride || report.block % (1u << report.stride) != 0 ||
        told > kToldBlocks || reader.remaining() < told * std::size_t{8})
        return make_error(errors::kBadPacket, "REPORT of {} bytes", body.size());
    for (unsigned i = 0; i < told; ++i) report.lost.push_back(reader.be64());
    report.disk_behind = flags & 1;
    report.round_complete = flags & 2;
    report.wanted = TRY(read_deficits(reader, count));
    return Body(std::move(report));
}

}  // namespace

Result<Header> parse_header(ByteView packet) {
    ByteReader reader(packet);
    const auto version = reader.u8(), type = reader.u8(), flags = reader.u8(), zero = reader.u8();
    Header header;
    header.source = reader.be32();
    header.session = reader.be64();
    header.number = reader.be64();
    if (reader.failed() || reader.remaining() < kTagBytes || packet.size() > kMaxPacket)
        return make_error(errors::kBadPacket, "{} bytes", packet.size());
    if (version != kVersion || flags > 1 || zero != 0)
        return make_error(errors::kBadPacket, "version {}, flags {}", version, flags);
    switch (type) {
        case static_cast<std::uint8_t>(PacketType::Data):
        case static_cast<std::uint8_t>(PacketType::Sync):
        case static_cast<std::uint8_t>(PacketType::Aside):
            if (header.source != kSenderSource) return make_error(errors::kBadPacket, "type {} of a receiver", type);
            break;
        case static_cast<std::uint8_t>(PacketType::Report):
            if (header.source == kSenderSource) return make_error(errors::kBadPacket, "a report of the sender");
            break;
        default: return make_error(errors::kBadPacket, "type {}", type);
    }
    header.type = static_cast<PacketType>(type);
    header.clear = flags & 1;
    return header;
}

Result<Body> parse_body(PacketType type, ByteView body) {
    switch (type) {
        case PacketType::Data: return read_data(body);
        case PacketType::Sync: return read_sync(body);
        case PacketType::Aside: return read_aside(body);
        case PacketType::Report: return read_report(body);
    }
    return make_error(errors::kBadPacket, "type {}", static_cast<unsigned>(type));
}

void write_header(const Header& header, ByteWriter& to) {
    to.u8(kVersion).u8(static_cast<std::uint8_t>(header.type)).u8(header.clear ? 1 : 0).u8(0);
    to.be32(header.source).be64(header.session).be64(header.number);
}

void write_body(const DataBody& body, ByteWriter& to) {
    to.be32(body.chunk).be16(body.block).be16(body.symbol).be32(body.length).bytes(body.payload);
}

void write_body(const SyncBody& body, ByteWriter& to) {
    to.u8(static_cast<std::uint8_t>(body.state)).u8(static_cast<std::uint8_t>(body.round >> 16));
    to.be16(static_cast<std::uint16_t>(body.round)).be32(body.rate_kbits).be32(body.next);
    to.be16(body.backoff_ms).be16(static_cast<std::uint16_t>(count_of(body.known)));
    write_deficits(body.known, to);
}

void write_body(const AsideBody& body, ByteWriter& to) {
    const auto count = std::min(body.receivers.size(), kMaxAside);
    to.be16(static_cast<std::uint16_t>(count));
    for (std::size_t i = 0; i < count; ++i) to.be32(body.receivers[i]);
}

void write_body(const ReportBody& body, ByteWriter& to) {
    to.be64(body.newest).be32(body.received).be32(body.expected).be64(body.block);
    to.be32(body.room_kib).be32(body.written_kib);
    to.u8(static_cast<std::uint8_t>((body.disk_behind ? 1 : 0) | (body.round_complete ? 2 : 0))).u8(body.stride);
    const auto told = std::min<std::size_t>(body.lost.size(), kToldBlocks), count = count_of(body.wanted);
    to.be16(body.held_ms).be16(static_cast<std::uint16_t>(told)).be16(static_cast<std::uint16_t>(count));
    for (std::size_t i = 0; i < told; ++i) to.be64(body.lost[i]);
    write_deficits(body.wanted, to);
}

}  // namespace slipway::multicast
