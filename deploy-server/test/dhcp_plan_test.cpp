// SPDX-License-Identifier: GPL-3.0-or-later
// Where the deploy server gives addresses, and where it refuses to.
#include <gtest/gtest.h>

#include "deploy-server/netboot/dhcp.hpp"
#include "dhcp-helper/errors.hpp"
#include "lib/base/log.hpp"

using namespace slipway;
using namespace slipway::server;

namespace {

Ipv4Address ip(std::string_view text) { return Ipv4Address::parse(text).value(); }

DhcpSettings settings(std::initializer_list<const char*> subnets) {
    DhcpSettings s;
    for (const auto* text : subnets) s.subnets.push_back(dhcp::subnet_from_text(text).value());
    return s;
}

const std::vector<LocalAddress> kHere{
    {"lo", ip("127.0.0.1")}, {"eth0", ip("192.168.1.9")}, {"eth1", ip("172.16.0.1")}, {"eth1", ip("10.77.0.1")}};
constexpr const char* kOwn = "10.77.0.0/24,interface=eth1,range=10.77.0.10-10.77.0.99";

FindServers finds(std::vector<dhcp::FoundServer> found) {
    return [found](const std::string&, std::chrono::milliseconds) -> Result<std::vector<dhcp::FoundServer>> {
        return found;
    };
}

}  // namespace

TEST(DhcpPlan, a_subnet_brings_its_interface_with_our_address_in_it) {
    std::vector<pxe::Interface> netboot{{"eth0", ip("192.168.1.9")}};
    auto config = plan_dhcp(settings({kOwn}), kHere, netboot).value();
    EXPECT_EQ(config.interfaces, std::vector<std::string>{"eth1"});
    ASSERT_EQ(netboot.size(), 2u);
    EXPECT_EQ(netboot[1].name, "eth1");
    EXPECT_EQ(netboot[1].address, ip("10.77.0.1"));
    EXPECT_EQ(config.told, std::vector{ip("10.77.0.1")});
}

TEST(DhcpPlan, the_address_given_for_an_interface_is_what_clients_are_told) {
    std::vector<pxe::Interface> netboot{{"eth1", ip("172.16.0.1")}};
    auto config = plan_dhcp(settings({kOwn}), kHere, netboot).value();
    EXPECT_EQ(netboot.size(), 1u);
    EXPECT_EQ(config.told, std::vector{ip("172.16.0.1")});
}

TEST(DhcpPlan, a_subnet_behind_relays_is_heard_on_every_interface) {
    std::vector<pxe::Interface> netboot{{"eth0", ip("192.168.1.9")}};
    auto config = plan_dhcp(settings({kOwn, "10.9.0.0/16,range=10.9.0.10-10.9.0.20"}), kHere, netboot).value();
    EXPECT_EQ(config.interfaces, (std::vector<std::string>{"eth0", "eth1"}));
}

TEST(DhcpPlan, what_cannot_be_served_is_named) {
    auto fails = [](const DhcpSettings& s) {
        std::vector<pxe::Interface> netboot;
        auto planned = plan_dhcp(s, kHere, netboot);
        return !planned && planned.error().is(dhcp::errors::kConfig) ? planned.error().describe() : std::string();
    };
    EXPECT_NE(fails(settings({"10.88.0.0/24,interface=eth1"})).find("eth1 has no address in 10.88.0.0/24"),
              std::string::npos);
    EXPECT_NE(fails(settings({"10.9.0.0/16"})).find("no interface"), std::string::npos);
    auto unknown = settings({kOwn});
    unknown.authorized = {"eth7"};
    EXPECT_NE(fails(unknown).find("eth7"), std::string::npos);
}

TEST(DhcpOthers, another_dhcp_server_is_refused_by_name_unless_it_is_meant_to_be_there) {
    log::set_threshold(log::Level::Error);
    dhcp::FoundServer other;
    other.server_id = ip("10.77.0.9");
    other.offered = ip("10.77.0.50");
    auto s = settings({kOwn});
    EXPECT_TRUE(look_for_others(s, finds({})).ok());
    auto refused = look_for_others(s, finds({other}));
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(refused.error().is(dhcp::errors::kOtherServer));
    EXPECT_NE(refused.error().describe().find("eth1: 10.77.0.9"), std::string::npos);
    s.authorized = {"eth1"};
    EXPECT_TRUE(look_for_others(s, finds({other})).ok());
    log::set_threshold(log::Level::Info);
}

TEST(DhcpOthers, a_proxy_that_gives_no_address_is_no_reason_and_neither_is_a_segment_behind_a_relay) {
    log::set_threshold(log::Level::Error);
    dhcp::FoundServer proxy;
    proxy.server_id = ip("10.77.0.9");
    EXPECT_TRUE(look_for_others(settings({kOwn}), finds({proxy})).ok());
    bool asked = false;
    auto ask = [&](const std::string&, std::chrono::milliseconds) -> Result<std::vector<dhcp::FoundServer>> {
        asked = true;
        return std::vector<dhcp::FoundServer>{};
    };
    EXPECT_TRUE(look_for_others(settings({"10.9.0.0/16"}), ask).ok());
    EXPECT_FALSE(asked);
    log::set_threshold(log::Level::Info);
}

TEST(BoundAddresses, of_the_ranges_are_never_more_than_the_ranges_hold) {
    SubnetView view{settings({"10.77.0.0/24,interface=eth1,range=10.77.0.10-10.77.0.12"}).subnets.front(), 0, 0};
    view.subnet.reservations.push_back({{}, ip("10.77.0.12"), {}});
    view.subnet.reservations.push_back({{}, ip("10.77.0.200"), {}});
    for (const char* bound : {"10.77.0.10", "10.77.0.11", "10.77.0.12", "10.77.0.200", "10.78.0.10"})
        count_bound(ip(bound), view);
    EXPECT_EQ(view.bound, 3u);
    EXPECT_EQ(view.reserved, 2u);
}
