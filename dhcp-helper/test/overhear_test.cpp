// SPDX-License-Identifier: GPL-3.0-or-later
// Reading what passes; on a real segment it is tested by tests/netboot.
#include <gtest/gtest.h>

#include "dhcp-helper/errors.hpp"
#include "dhcp-helper/overhear.hpp"

using namespace slipway;
using namespace slipway::dhcp;

namespace {

// An IPv4 packet of UDP.
Bytes packet(std::string_view payload, std::uint8_t protocol = 17, std::uint16_t fragment = 0, ByteView options = {}) {
    ByteWriter w;
    auto header = static_cast<std::uint8_t>(20 + options.size());
    auto udp = static_cast<std::uint16_t>(8 + payload.size());
    w.u8(static_cast<std::uint8_t>(0x40 | header / 4)).u8(0).be16(static_cast<std::uint16_t>(header + udp)).be16(1);
    w.be16(fragment).u8(64).u8(protocol).be16(0).be32(0x0a630002).be32(0xffffffff).bytes(options);
    w.be16(67).be16(68).be16(udp).be16(0).text(payload);
    return std::move(w).take();
}

}  // namespace

TEST(Overhear, reads_a_datagram_behind_ip_options_and_before_padding) {
    auto bytes = packet("hello", 17, 0x4000, as_bytes("\x94\x04xx"));
    bytes.resize(bytes.size() + 18);
    auto datagram = read_passing(bytes);
    ASSERT_TRUE(datagram);
    EXPECT_EQ(as_text(datagram->payload), "hello");
    EXPECT_EQ(datagram->from.text(), "10.99.0.2:67");
    EXPECT_EQ(datagram->to.text(), "255.255.255.255:68");
}

TEST(Overhear, leaves_other_protocols_and_later_fragments) {
    EXPECT_FALSE(read_passing(packet("hello", 6)));
    EXPECT_FALSE(read_passing(packet("hello", 17, 185)));
    auto ipv6 = packet("hello");
    ipv6[0] = std::byte{0x65};
    EXPECT_FALSE(read_passing(ipv6));
}

TEST(Overhear, a_packet_cut_anywhere_is_none) {
    auto whole = packet("hello");
    for (std::size_t n = 0; n < whole.size(); ++n) EXPECT_FALSE(read_passing(std::span(whole).first(n))) << n;
    for (auto [at, value] : {std::pair{0, 0x41}, {0, 0x4f}, {24, 0xff}, {25, 7}, {2, 0xff}, {3, 27}}) {
        auto bent = whole;
        bent[static_cast<std::size_t>(at)] = static_cast<std::byte>(value);
        EXPECT_FALSE(read_passing(bent)) << at;
    }
}

TEST(Overhear, a_missing_interface_is_named) {
    boost::asio::io_context io;
    auto made = Overhearer::create(io, "nosuch0", [](const Overhearer::Answer&) {});
    ASSERT_FALSE(made.ok());
    EXPECT_TRUE(made.error().is(errors::kListen));
}
