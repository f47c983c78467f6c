// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp-helper/finder.hpp"

#include <gtest/gtest.h>

#include "dhcp-helper/errors.hpp"

using namespace slipway;
using namespace slipway::dhcp;

TEST(Finder, an_interface_that_is_not_there_is_named_and_no_port_is_blamed) {
    auto found = find_servers("nosuch", std::chrono::milliseconds(0));
    ASSERT_TRUE(found.error().is(dhcp::errors::kInterface));
    EXPECT_NE(found.error().explain().find("no interface nosuch"), std::string::npos);
    EXPECT_EQ(found.error().explain().find("port"), std::string::npos);
}

TEST(Finder, our_own_server_is_nobody_to_be_warned_of_but_counts_as_one_of_two) {
    auto address = [](const char* text) { return *Ipv4Address::parse(text); };
    FoundServer dhcp{.address = address("10.0.0.1"), .server_id = address("10.0.0.1"), .offered = address("10.0.0.50")};
    FoundServer ours{.address = address("10.0.0.5"), .server_id = address("10.0.0.5"), .pxe = true};
    const std::set<Ipv4Address> own{address("10.0.0.5")};
    EXPECT_TRUE(judge({dhcp, ours}, {address("10.0.0.1")}, own).unexpected.empty());
    EXPECT_EQ(judge({dhcp, ours}, {address("10.0.0.1")}, {}).unexpected, own);
    EXPECT_TRUE(judge({dhcp, ours}, {}, own).unexpected.empty());
    EXPECT_FALSE(judge({dhcp, ours}, {}, own).doubled);
    auto other = ours;
    other.address = other.server_id = address("10.0.0.6");
    EXPECT_TRUE(judge({dhcp, ours, other}, {}, own).doubled);
    ours.offered = address("10.0.0.51");
    EXPECT_TRUE(judge({dhcp, ours}, {}, own).doubled);
}
