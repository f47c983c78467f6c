// SPDX-License-Identifier: GPL-3.0-or-later
// UDP over IPv4 as a packet socket has it; libtins says whether what we write is right.
#include "dhcp-helper/frame.hpp"

#include <gtest/gtest.h>

#include <tins/tins.h>

#include "dhcp-helper/errors.hpp"

using namespace slipway;
using namespace slipway::dhcp;

namespace {

const UdpEndpoint kFrom{*Ipv4Address::parse("10.0.0.1"), 67}, kTo{*Ipv4Address::parse("255.255.255.255"), 68};

std::string reason(ByteView packet, bool check_sum = true) {
    auto read = read_udp(packet, check_sum);
    if (read.ok()) return "good";
    EXPECT_TRUE(read.error().is(errors::kPacket));
    return read.error().describe();
}

// With a header that is right in itself, whatever it says.
Bytes packet_of(std::uint8_t first, std::uint8_t protocol, std::uint16_t fragment, ByteView options) {
    auto header = [&](std::uint16_t sum) {
        ByteWriter w;
        w.u8(first).u8(0).be16(static_cast<std::uint16_t>(33 + options.size())).be16(1).be16(fragment).u8(64);
        w.u8(protocol).be16(sum).be32(kFrom.address.value).be32(kTo.address.value).bytes(options);
        return std::move(w).take();
    };
    std::uint32_t sum = 0;
    auto bare = header(0);
    for (ByteReader in(bare); in.remaining() >= 2;) sum += in.be16();
    while (sum >> 16) sum = (sum & 0xffff) + (sum >> 16);
    ByteWriter w;
    w.bytes(header(static_cast<std::uint16_t>(~sum))).be16(67).be16(68).be16(13).be16(0).text("hello");
    return std::move(w).take();
}

}  // namespace

TEST(Frame, options_of_the_header_are_passed_over) {
    auto read = read_udp(packet_of(0x46, 17, 0x4000, as_bytes("\x94\x04xx")));
    ASSERT_TRUE(read.ok()) << read.error().describe();
    EXPECT_EQ(as_text(read->data), "hello");
    EXPECT_EQ(read->from, kFrom);
    EXPECT_EQ(read->to, kTo);
}

TEST(Frame, other_protocols_versions_and_fragments_are_none) {
    EXPECT_EQ(reason(packet_of(0x45, 17, 0, {})), "good");
    EXPECT_NE(reason(packet_of(0x45, 6, 0, {})).find("not a whole UDP datagram"), std::string::npos);
    EXPECT_NE(reason(packet_of(0x45, 17, 185, {})).find("not a whole UDP datagram"), std::string::npos);
    EXPECT_NE(reason(packet_of(0x45, 17, 0x2000, {})).find("not a whole UDP datagram"), std::string::npos);
    EXPECT_NE(reason(packet_of(0x65, 17, 0, {})).find("no IPv4 header"), std::string::npos);
    EXPECT_NE(reason(packet_of(0x44, 17, 0, {})).find("no IPv4 header"), std::string::npos);
    EXPECT_NE(reason(packet_of(0x4f, 17, 0, {})), "good");
}

TEST(Frame, is_read_as_it_was_written) {
    for (std::string text : {"", "x", "hello", "even"}) {
        auto packet = write_udp(kFrom, kTo, as_bytes(text));
        auto read = read_udp(packet).value();
        EXPECT_EQ(read.from, kFrom);
        EXPECT_EQ(read.to, kTo);
        EXPECT_EQ(as_text(read.data), text);
        packet.resize(60);  // a frame's padding
        EXPECT_EQ(as_text(read_udp(packet).value().data), text);
    }
}

TEST(Frame, has_the_checksums_that_libtins_makes) {
    auto packet = write_udp(kFrom, kTo, as_bytes("some text"));
    Tins::IP theirs(reinterpret_cast<const std::uint8_t*>(packet.data()), static_cast<std::uint32_t>(packet.size()));
    auto again = theirs.serialize();
    EXPECT_EQ(
        Bytes(reinterpret_cast<std::byte*>(again.data()), reinterpret_cast<std::byte*>(again.data()) + again.size()),
        packet);
}

TEST(Frame, damage_and_fragments_are_named) {
    auto good = write_udp(kFrom, kTo, as_bytes("text"));
    for (std::size_t size = 0; size < good.size(); ++size)
        EXPECT_NE(reason(ByteView(good).first(size)), "good") << size;
    for (std::size_t i = 0; i < good.size(); ++i) {
        auto bad = good;
        bad[i] ^= std::byte{0x04};
        EXPECT_NE(reason(bad), "good") << i;
    }
    auto body = good;
    body.back() ^= std::byte{1};
    EXPECT_NE(reason(body).find("UDP checksum"), std::string::npos);
    EXPECT_EQ(reason(body, false), "good");  // the card had yet to make it
}
