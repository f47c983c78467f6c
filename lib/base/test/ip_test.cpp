// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/base/ip.hpp"

#include <gtest/gtest.h>

namespace slipway {
namespace {

std::string again(std::string_view text) {
    const auto address = IpAddress::parse(text);
    return address ? address->text() : "none";
}

TEST(IpAddress, both_families_are_read_and_written) {
    EXPECT_EQ(again("10.99.0.5"), "10.99.0.5");
    EXPECT_EQ(again("255.255.255.255"), "255.255.255.255");
    EXPECT_EQ(again("FD00:0:0:0::5"), "fd00::5");
    EXPECT_EQ(again("ff15::5157:0"), "ff15::5157:0");
    EXPECT_EQ(again("64:ff9b::10.0.0.1"), "64:ff9b::a00:1");
    for (const char* wrong : {"", "10.99.0", "10.99.0.256", "fd00:::5", "fd00::5%eth0", "[fd00::5]", "fd00::5/64",
                              "1:2:3:4:5:6:7:8:9", "x"})
        EXPECT_EQ(again(wrong), "none") << wrong;
    EXPECT_FALSE(IpAddress::parse(std::string_view("fd00::5\0", 8)));
    EXPECT_FALSE(IpAddress::parse(std::string(200, ':')));
}

TEST(IpAddress, an_ipv4_peer_of_a_socket_for_both_is_that_peer) {
    const auto mapped = IpAddress::parse("::ffff:10.99.0.5"), plain = IpAddress::parse("10.99.0.5");
    EXPECT_EQ(mapped, plain);
    EXPECT_EQ(*plain, IpAddress(*Ipv4Address::parse("10.99.0.5")));
    EXPECT_EQ(plain->v4(), Ipv4Address::parse("10.99.0.5"));
    EXPECT_TRUE(plain->is_v4());
    EXPECT_FALSE(IpAddress::parse("::10.99.0.5")->is_v4());
}

TEST(IpAddress, none_is_none_in_both) {
    for (const char* none : {"::", "0.0.0.0", "::ffff:0.0.0.0"}) EXPECT_TRUE(IpAddress::parse(none)->is_zero()) << none;
    EXPECT_FALSE(IpAddress::parse("::1")->is_zero());
}

TEST(IpAddress, counts_on_and_knows_a_link) {
    EXPECT_EQ(IpAddress::parse("239.255.52.0")->plus(4095).text(), "239.255.67.255");
    EXPECT_EQ(IpAddress::parse("ff15::5157:ff00")->plus(256).text(), "ff15::5158:0");
    EXPECT_EQ(IpAddress::parse("ff15::ffff:ffff")->plus(1).text(), "ff15::") << "what is before them stays";
    EXPECT_TRUE(IpAddress::parse("fe80::1")->is_link_local());
    EXPECT_TRUE(IpAddress::parse("febf::1")->is_link_local());
    EXPECT_FALSE(IpAddress::parse("fec0::1")->is_link_local());
    EXPECT_FALSE(IpAddress::parse("169.254.0.1")->is_link_local()) << "needs no zone";
    EXPECT_EQ((IpEndpoint{*IpAddress::parse("fd00::5"), 68}).text(), "[fd00::5]:68");
    EXPECT_EQ((IpEndpoint{*IpAddress::parse("10.99.0.5"), 68}).text(), "10.99.0.5:68");
}

}  // namespace
}  // namespace slipway
