// SPDX-License-Identifier: GPL-3.0-or-later
// Of which family a session is, and by which address of ours it goes out.
#include "deploy-server/distribution/route.hpp"

#include <gtest/gtest.h>

#include "imagestore/multicast/errors.hpp"

namespace slipway::server {
namespace {

IpAddress at(const char* text) { return *IpAddress::parse(text); }

TEST(Route, the_family_is_the_groups_else_the_interfaces_else_the_machines) {
    DistributionSettings s;
    EXPECT_TRUE(by_ipv4(s, "10.99.0.5"));
    EXPECT_TRUE(by_ipv4(s, "::ffff:10.99.0.5")) << "an IPv4 machine at a socket for both";
    EXPECT_FALSE(by_ipv4(s, "fd00::5"));
    EXPECT_FALSE(by_ipv4(s, "fe80::5%eth0"));
    s.interface = at("fd00::1");
    EXPECT_FALSE(by_ipv4(s, "10.99.0.5"));
    s.group = at("239.1.2.0");
    s.interface = {};
    EXPECT_TRUE(by_ipv4(s, "fd00::5"));
}

TEST(Route, what_is_not_set_follows_from_the_machine) {
    const auto v4 = route_for({}, "127.0.0.5").value();
    EXPECT_EQ(v4.first_group, at("239.255.52.0"));
    EXPECT_EQ(v4.on.address, at("127.0.0.1"));
    EXPECT_EQ(v4.channel, v4.on.address);
    for (const bool family : {true, false}) EXPECT_TRUE(multicast::is_first_group(usual_group(family)));
}

TEST(Route, a_group_of_the_other_family_is_sent_to_from_the_same_interface_or_not_at_all) {
    DistributionSettings s;
    s.group = at("ff15::8481:0");
    const auto none = route_for(s, "127.0.0.5");
    ASSERT_FALSE(none) << "a loopback has no address of a link";
    EXPECT_TRUE(none.error().is(multicast::errors::kNoSegment));
    s.ttl = 4;
    const auto routed = route_for(s, "127.0.0.5");
    if (!routed) GTEST_SKIP() << "this machine has no IPv6: " << routed.error().describe();
    EXPECT_EQ(routed.value().on.address, at("::1"));
    EXPECT_EQ(routed.value().channel, at("127.0.0.1")) << "the limit of the address that speaks to the machine";
}

TEST(Route, a_peer_that_is_no_address_and_an_interface_that_is_not_ours_are_named) {
    EXPECT_TRUE(route_for({}, "x").error().is(multicast::errors::kNoSegment));
    DistributionSettings s;
    s.interface = at("192.0.2.1");
    EXPECT_TRUE(route_for(s, "127.0.0.5").error().is(multicast::errors::kNoSegment));
    EXPECT_TRUE(address_of_peer("x").is_zero());
    EXPECT_EQ(address_of_peer("fe80::5%eth0"), at("fe80::5"));
}

}  // namespace
}  // namespace slipway::server
