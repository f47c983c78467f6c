// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/channel/multicast_messages.hpp"

#include <gtest/gtest.h>

#include "lib/channel/errors.hpp"

namespace slipway::channel {
namespace {

TEST(MulticastMessages, an_invitation_is_read_as_it_was_written) {
    MulticastInvitation i{*Ipv4Address::parse("239.1.2.3"),
                          *Ipv4Address::parse("10.0.0.1"),
                          8481,
                          40000,
                          0xfedcba9876543210,
                          7,
                          1376,
                          true,
                          {},
                          {}};
    i.session_key.fill(std::byte{1});
    i.own_key.fill(std::byte{2});
    auto back = parse_multicast_invitation(render(i)).value();
    EXPECT_EQ(back.group, i.group);
    EXPECT_EQ(back.sender, i.sender);
    EXPECT_EQ(back.port, 8481);
    EXPECT_EQ(back.report_port, 40000);
    EXPECT_EQ(back.session, i.session);
    EXPECT_EQ(back.number, 7u);
    EXPECT_TRUE(back.clear);
    EXPECT_EQ(back.session_key, i.session_key);
    EXPECT_EQ(back.own_key, i.own_key);
    EXPECT_TRUE(back.you.is_zero());
}

TEST(MulticastMessages, an_invitation_may_be_of_ipv6_and_says_who_is_invited) {
    MulticastInvitation i{.group = *IpAddress::parse("ff15::5157:7"),
                          .sender = *IpAddress::parse("fe80::1"),
                          .number = 1,
                          .symbol_bytes = 8};
    i.you = *IpAddress::parse("10.0.0.9");
    const auto text = render(i);
    EXPECT_NE(text.find(R"("group":"ff15::5157:7")"), std::string::npos);
    auto back = parse_multicast_invitation(text).value();
    EXPECT_EQ(back.group, i.group);
    EXPECT_EQ(back.sender, i.sender);
    EXPECT_EQ(back.you, i.you);
    i.sender = *IpAddress::parse("10.0.0.1");
    EXPECT_TRUE(parse_multicast_invitation(render(i)).error().is(errors::kBadMessage)) << "of two families";
    auto bad = text;
    bad.replace(bad.find("10.0.0.9"), 8, "10.0.0.x");
    EXPECT_TRUE(parse_multicast_invitation(bad).error().is(errors::kBadMessage));
}

TEST(MulticastMessages, what_is_missing_or_wrong_is_named) {
    const auto good = render(MulticastInvitation{.number = 1, .symbol_bytes = 8});
    ASSERT_TRUE(parse_multicast_invitation(good));
    for (const char* name : {"group", "port", "sender", "report_port", "session", "number", "symbol_bytes", "clear",
                             "session_key", "own_key"}) {
        auto bad = good;
        bad.replace(bad.find(std::string("\"") + name + "\""), 2, "\"_");
        EXPECT_TRUE(parse_multicast_invitation(bad).error().is(errors::kBadMessage)) << name;
    }
    EXPECT_FALSE(parse_multicast_invitation("[]"));
    EXPECT_FALSE(parse_multicast_invitation(render(MulticastInvitation{.symbol_bytes = 8})))
        << "receivers count from 1";
}

TEST(MulticastMessages, a_bitmap_has_one_bit_a_chunk) {
    for (std::size_t count : {0u, 1u, 7u, 8u, 9u, 1000u}) {
        std::vector<bool> bits(count);
        for (std::size_t i = 0; i < count; i += 3) bits[i] = true;
        EXPECT_EQ(parse_bitmap(render_bitmap(bits), count).value(), bits);
    }
    EXPECT_EQ(render_bitmap({true, false, true}), "\x05");
    EXPECT_FALSE(parse_bitmap("\x05", 2));
    EXPECT_FALSE(parse_bitmap("", 1));
    EXPECT_FALSE(parse_bitmap("\x01\x01", 8));
}

}  // namespace
}  // namespace slipway::channel
