// SPDX-License-Identifier: GPL-3.0-or-later
// Which address clients are told: the configuration's, the interface's, or the one it was moved to.
#include "deploy-server/netboot/addresses.hpp"

#include <gtest/gtest.h>

#include "deploy-server/errors.hpp"

using namespace slipway;
using namespace slipway::server;

namespace {

Ipv4Address ip(std::string_view text) { return Ipv4Address::parse(text).value(); }
const std::vector<LocalAddress> kHere{
    {"lo", ip("127.0.0.1")}, {"eth0", ip("10.0.0.5")}, {"eth0", ip("10.0.0.6")}, {"eth1", ip("10.1.0.1")}};

}  // namespace

TEST(Addresses, what_is_missing_is_the_interfaces_own_and_what_was_moved_wins) {
    std::vector<pxe::Interface> netboot{{"eth0", ip("10.0.0.5")}, {"eth1", {}}};
    ASSERT_TRUE(settle_addresses(netboot, {{"eth0", ip("10.0.0.6")}, {"gone0", ip("10.9.9.9")}}, kHere).ok());
    EXPECT_EQ(netboot[0].address, ip("10.0.0.6"));
    EXPECT_EQ(netboot[1].address, ip("10.1.0.1"));
}

TEST(Addresses, an_interface_without_the_address_or_any_is_named) {
    std::vector<pxe::Interface> moved{{"eth0", ip("10.0.0.5")}}, bare{{"eth7", {}}};
    auto lost = settle_addresses(moved, {{"eth0", ip("10.0.0.7")}}, kHere);
    ASSERT_FALSE(lost.ok());
    EXPECT_TRUE(lost.error().is(server::errors::kAddress));
    EXPECT_NE(settle_addresses(bare, {}, kHere).error().describe().find("eth7"), std::string::npos);
}

TEST(Addresses, a_new_one_belongs_to_an_interface_that_is_served) {
    std::vector<pxe::Interface> netboot{{"eth0", ip("10.0.0.5")}};
    EXPECT_EQ(interface_for(ip("10.0.0.6"), netboot, kHere).value(), "eth0");
    EXPECT_FALSE(interface_for(ip("10.1.0.1"), netboot, kHere).ok());
    EXPECT_FALSE(interface_for(ip("10.0.0.9"), netboot, kHere).ok());
}

TEST(Addresses, the_file_is_read_as_it_is_written_and_a_bad_line_is_named) {
    MovedAddresses moved{{"br0", ip("10.0.0.6")}, {"eth0", ip("10.1.0.1")}};
    EXPECT_EQ(parse_moved(moved_text(moved)).value(), moved);
    EXPECT_TRUE(parse_moved("\n# nothing\n").value().empty());
    for (const auto* bad : {"br0", "br0 10.0.0", "br0 10.0.0.1 x", " 10.0.0.1"})
        EXPECT_FALSE(parse_moved(bad).ok()) << bad;
}
