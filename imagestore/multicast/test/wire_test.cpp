// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/wire.hpp"

#include <gtest/gtest.h>

#include "imagestore/multicast/errors.hpp"

namespace slipway::multicast {
namespace {

template <class T>
Bytes body_of(const T& body) {
    ByteWriter writer;
    write_body(body, writer);
    return std::move(writer).take();
}
Bytes packet_of(const Header& header, std::size_t body = 0) {
    ByteWriter writer;
    write_header(header, writer);
    writer.zeros(body + kTagBytes);
    return std::move(writer).take();
}

TEST(MulticastWire, a_header_is_read_as_it_was_written) {
    const Header header{PacketType::Report, true, 7, 0x1122334455667788, 99};
    auto bytes = packet_of(header);
    EXPECT_EQ(to_hex(ByteView(bytes).first(kHeaderBytes)), "011001000000000711223344556677880000000000000063");
    EXPECT_EQ(parse_header(bytes).value(), header);
}

TEST(MulticastWire, headers_that_cannot_be_are_refused) {
    const auto good = packet_of({PacketType::Sync, false, 0, 1, 2});
    ASSERT_TRUE(parse_header(good));
    for (std::size_t size = 0; size < good.size(); ++size)
        EXPECT_TRUE(parse_header(ByteView(good).first(size)).error().is(errors::kBadPacket)) << size;
    EXPECT_FALSE(parse_header(packet_of({PacketType::Sync, false, 0, 1, 2}, kMaxPacket)));
    EXPECT_FALSE(parse_header(packet_of({PacketType::Sync, false, 3, 1, 2}))) << "a receiver that speaks as sender";
    EXPECT_FALSE(parse_header(packet_of({PacketType::Report, false, 0, 1, 2}))) << "a sender that reports";
    for (auto [at, value] : {std::pair{0u, 2}, {1u, 4}, {2u, 2}, {3u, 1}}) {
        auto bad = good;
        bad[at] = static_cast<std::byte>(value);
        EXPECT_FALSE(parse_header(bad)) << at;
    }
}

TEST(MulticastWire, data_is_read_as_it_was_written) {
    const auto payload = to_bytes("symbol");
    const auto bytes = body_of(DataBody{5, 6, 70, 80000, payload});
    auto body = std::get<DataBody>(parse_body(PacketType::Data, bytes).value());
    EXPECT_EQ(body.chunk, 5u);
    EXPECT_EQ(body.block, 6u);
    EXPECT_EQ(body.symbol, 70u);
    EXPECT_EQ(body.length, 80000u);
    EXPECT_EQ(as_text(body.payload), "symbol");
    EXPECT_FALSE(parse_body(PacketType::Data, ByteView(bytes).first(kDataHeadBytes))) << "no symbol in it";
}

TEST(MulticastWire, sync_and_report_are_read_as_they_were_written) {
    SyncBody sync{SyncState::RoundEnds, 0x123456, 40000, 12, 50, {{1, 2, 3}, {4, 5, 255}}};
    auto read = std::get<SyncBody>(parse_body(PacketType::Sync, body_of(sync)).value());
    EXPECT_EQ(read.state, sync.state);
    EXPECT_EQ(read.round, sync.round);
    EXPECT_EQ(read.rate_kbits, 40000u);
    EXPECT_EQ(read.next, 12u);
    EXPECT_EQ(read.backoff_ms, 50u);
    EXPECT_EQ(read.known, sync.known);
    ReportBody report{.newest = 900,
                      .received = 90,
                      .expected = 91,
                      .block = 12,
                      .stride = 2,
                      .lost = {0b101, 0},
                      .held_ms = 7,
                      .room_kib = 16384,
                      .written_kib = 30000,
                      .disk_behind = true,
                      .round_complete = true,
                      .wanted = {{9, 0, 1}}};
    auto back = std::get<ReportBody>(parse_body(PacketType::Report, body_of(report)).value());
    EXPECT_EQ(back.newest, 900u);
    EXPECT_EQ(back.received, 90u);
    EXPECT_EQ(back.expected, 91u);
    EXPECT_EQ(back.block, 12u);
    EXPECT_EQ(back.stride, 2u);
    EXPECT_EQ(back.lost, report.lost);
    EXPECT_EQ(back.held_ms, 7u);
    EXPECT_EQ(back.room_kib, 16384u);
    EXPECT_EQ(back.written_kib, 30000u);
    EXPECT_TRUE(back.disk_behind);
    EXPECT_TRUE(back.round_complete);
    EXPECT_EQ(back.wanted, report.wanted);
}

TEST(MulticastWire, aside_is_read_as_it_was_written_and_names_somebody) {
    EXPECT_EQ(to_hex(body_of(AsideBody{{7, 300}})), "0002000000070000012c");
    auto bytes = body_of(AsideBody{std::vector<std::uint32_t>(kMaxAside + 5, 9)});
    EXPECT_EQ(std::get<AsideBody>(parse_body(PacketType::Aside, bytes).value()).receivers,
              std::vector<std::uint32_t>(kMaxAside, 9));
    bytes.push_back(std::byte{0});
    EXPECT_FALSE(parse_body(PacketType::Aside, bytes));
    bytes.resize(bytes.size() - 2);
    EXPECT_FALSE(parse_body(PacketType::Aside, bytes));
    EXPECT_FALSE(parse_body(PacketType::Aside, body_of(AsideBody{}))) << "nobody";
    EXPECT_FALSE(parse_body(PacketType::Aside, body_of(AsideBody{{3, kSenderSource}})));
}

TEST(MulticastWire, a_list_of_deficits_has_exactly_its_length) {
    SyncBody sync;
    sync.known.assign(kMaxDeficits + 5, {1, 1, 1});
    auto bytes = body_of(sync);
    EXPECT_EQ(std::get<SyncBody>(parse_body(PacketType::Sync, bytes).value()).known.size(), kMaxDeficits);
    bytes.push_back(std::byte{0});
    EXPECT_FALSE(parse_body(PacketType::Sync, bytes));
    bytes.resize(bytes.size() - 2);
    EXPECT_FALSE(parse_body(PacketType::Sync, bytes));
    sync.known = {{1, 1, 0}};
    EXPECT_FALSE(parse_body(PacketType::Sync, body_of(sync))) << "nothing missing is no deficit";
}

}  // namespace
}  // namespace slipway::multicast
