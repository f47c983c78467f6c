// SPDX-License-Identifier: GPL-3.0-or-later
// A packet that parses is written and read again the same. The first packet of an input opens a session, those behind
// it (each with two bytes of length before it) are fed to that: it never sends outside its file, never more than was
// received before the client has acknowledged, and stores each block once.
#include <cstdlib>

#include "tftp/netascii.hpp"
#include "tftp/receive.hpp"
#include "tftp/session.hpp"

using namespace slipway;
using namespace slipway::tftp;

namespace {

constexpr std::uint64_t kFile = 100'000;

void require(bool holds) {
    if (!holds) std::abort();
}

// Each packet of the rest, then `count` of the caller's own making.
template <typename Feed>
void each_packet(ByteView rest, Feed feed) {
    ByteReader in(rest);
    for (int i = 0; i < 200 && in.remaining() > 2; ++i) {
        auto length = std::min<std::size_t>(in.be16(), in.remaining());
        auto packet = parse_packet(in.take(length));
        if (packet.ok()) feed(*packet);
    }
    for (std::uint16_t i = 0; i < 64; ++i) feed(Ack{static_cast<std::uint16_t>(i * 3)});
}

void read_with(const Request& request, std::size_t bytes, ByteView rest) {
    bool text = request.mode == "netascii";
    ReadSession session(request, bytes, text ? ReadSession::kUnknownSize : kFile, {});
    std::size_t out = 0;
    auto check = [&](const Step& step) {
        if (step.count > 0 && text) session.ends_at(kFile);
        for (std::uint32_t n = 0; n < step.count; ++n) {
            auto slice = session.slice(step.first + n);
            if (slice.length < session.block_size()) break;
            require(slice.offset + slice.length <= kFile);
        }
        if (session.proved()) return;
        require(step.count <= 1);
        if (step.option_ack) out += encode_packet(session.option_ack()).size();
        require(out <= bytes);
    };
    Instant now{};
    check(session.start(now));
    each_packet(rest, [&](const Packet& packet) {
        check(session.on_packet(packet, now += std::chrono::milliseconds(100)));
        check(session.on_time(now));
    });
    for (int i = 0; i < 100 && !session.ended(); ++i) check(session.on_time(now = std::max(now, session.deadline())));
    require(session.ended());
}

void write_with(const Request& request, std::size_t bytes, ByteView rest) {
    WriteSession session(request, bytes, {});
    Instant now{};
    std::uint64_t stored = 0;
    session.start(now);
    each_packet(rest, [&](const Packet& packet) {
        auto step = session.on_packet(packet, now += std::chrono::milliseconds(100));
        if (step.store) stored += std::get<Data>(packet).payload.size();
        if (step.complete) session.stored(now);
        require(stored == session.received());
        session.on_time(now);
    });
    for (int i = 0; i < 100 && !session.ended(); ++i) session.on_time(now = std::max(now, session.deadline()));
    require(session.ended());
}

void netascii_comes_back(ByteView bytes) {
    std::string wire;
    to_netascii(bytes, wire);
    Bytes back;
    NetasciiDecoder decoder;
    auto half = wire.size() / 2;
    decoder.decode(as_bytes(std::string_view(wire).substr(0, half)), back);
    decoder.decode(as_bytes(std::string_view(wire).substr(half)), back);
    decoder.finish(back);
    require(std::equal(back.begin(), back.end(), bytes.begin(), bytes.end()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    ByteView bytes = std::as_bytes(std::span(data, size)), rest;
    netascii_comes_back(bytes);
    auto packet = parse_packet(bytes);
    if (!packet.ok() && size > 2) {  // several packets
        ByteReader in(bytes);
        auto first = in.take(std::min<std::size_t>(in.be16(), in.remaining()));
        rest = bytes.subspan(in.offset());
        packet = parse_packet(bytes = first);
    }
    if (!packet.ok()) return 0;
    auto once = encode_packet(*packet);
    auto again = parse_packet(once);
    require(again.ok() && encode_packet(*again) == once);
    const auto* request = std::get_if<Request>(&*packet);
    if (request && request->write) write_with(*request, bytes.size(), rest);
    if (request && !request->write) read_with(*request, bytes.size(), rest);
    return 0;
}
