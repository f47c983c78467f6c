// SPDX-License-Identifier: GPL-3.0-or-later
// What an operator does to a server that runs, and which of its addresses a client hears.
#include "dhcp-helper/test/engine_fixture.hpp"

using namespace slipway;
using namespace slipway::dhcp;
using namespace slipway::dhcp::test;

namespace {

Reservation reserve(const Asker& asker, std::string_view address) { return {asker.mac(), ip(address), {}}; }

}  // namespace

TEST(DhcpOperator, a_reservation_counts_from_the_next_discover_on_and_is_given_back) {
    Lab lab;
    Asker one{1}, two{2};
    EXPECT_TRUE(lab.engine.set_reservations({reserve(one, "10.0.0.10"), reserve(two, "10.0.0.50")}).empty());
    EXPECT_EQ(lab.lease_to({3}), "10.0.0.11");  // not the reserved first one
    EXPECT_EQ(lab.lease_to(one), "10.0.0.10");
    EXPECT_EQ(lab.lease_to(two), "10.0.0.50");  // outside the range
    EXPECT_TRUE(lab.engine.set_reservations({}).empty());
    EXPECT_EQ(lab(two.renew(ip("10.0.0.50"))), "NAK");
    EXPECT_EQ(lab.lease_to(two), "10.0.0.12");
    lab.now += 601;
    EXPECT_EQ(lab.lease_to({4}), "10.0.0.10");  // anybody's again
}

TEST(DhcpOperator, an_address_that_was_reserved_and_never_used_returns_to_the_range) {
    Lab lab;
    ASSERT_TRUE(lab.engine.set_reservations({reserve({9}, "10.0.0.10")}).empty());
    EXPECT_EQ(lab.lease_to({1}), "10.0.0.11");
    EXPECT_EQ(lab.lease_to({2}), "10.0.0.12");
    EXPECT_EQ(lab(Asker{3}.discover()), "-");
    ASSERT_TRUE(lab.engine.set_reservations({}).empty());
    EXPECT_EQ(lab.lease_to({3}), "10.0.0.10");
}

TEST(DhcpOperator, the_holder_of_an_address_now_reserved_is_sent_away_when_it_renews) {
    Lab lab;
    Asker holder{1}, owner{2};
    ASSERT_EQ(lab.lease_to(holder), "10.0.0.10");
    ASSERT_TRUE(lab.engine.set_reservations({reserve(owner, "10.0.0.10")}).empty());
    EXPECT_EQ(lab.lease_to(owner), "10.0.0.11");  // not while the other may use it
    EXPECT_EQ(lab(holder.renew(ip("10.0.0.10"))), "NAK");
    EXPECT_FALSE(lab.engine.take_back(ip("10.0.0.10"), lab.now).empty());
    EXPECT_EQ(lab(owner.renew(ip("10.0.0.11"))), "NAK");  // its own is free
    EXPECT_EQ(lab.lease_to(owner), "10.0.0.10");
}

TEST(DhcpOperator, impossible_reservations_are_left_out_each_with_its_reason) {
    Lab lab;
    auto out = lab.engine.set_reservations({
        reserve({1}, "172.16.0.1"),                            // no subnet
        reserve({2}, "10.0.0.255"),                            // no host
        reserve({3}, "10.0.0.1"),                              // ours
        reserve({4}, "10.0.0.99"),                             // the configuration's
        reserve({5}, "10.0.0.20"), reserve({5}, "10.0.0.21"),  // one MAC, two addresses
        reserve({5}, "10.0.1.20"),                             // but another in another subnet
    });
    ASSERT_EQ(out.size(), 5u);
    EXPECT_NE(out[0].find("no subnet"), std::string::npos);
    EXPECT_NE(out[2].find("own address"), std::string::npos);
    EXPECT_NE(out[3].find("52:54:00:00:00:99"), std::string::npos);
    EXPECT_EQ(lab.lease_to({5}), "10.0.0.20");
    EXPECT_EQ(lab.lease_to(Asker{.number = 5, .port = 1}), "10.0.1.20");
}

TEST(DhcpOperator, a_lease_taken_back_is_stored_and_free_but_goes_to_its_client_first) {
    Lab lab;
    ASSERT_EQ(lab.lease_to({1}), "10.0.0.10");
    lab.take(lab.engine.take_back(ip("10.0.0.10"), lab.now));
    EXPECT_EQ(lab.state("10.0.0.10"), AddressState::Released);
    EXPECT_EQ(lab.stored.back().state, LeaseState::Released);
    EXPECT_TRUE(lab.engine.take_back(ip("10.0.0.10"), lab.now).empty());
    EXPECT_TRUE(lab.engine.take_back(ip("10.0.0.77"), lab.now).empty());
    EXPECT_EQ(lab(Asker{1}.discover()), "OFFER 10.0.0.10");
}

TEST(DhcpOperator, a_declined_address_taken_back_is_free) {
    Lab lab;
    ASSERT_EQ(lab.lease_to({1}), "10.0.0.10");
    lab(Asker{1}.decline(ip("10.0.0.10")));
    ASSERT_EQ(lab.state("10.0.0.10"), AddressState::Declined);
    lab.take(lab.engine.take_back(ip("10.0.0.10"), lab.now));
    EXPECT_EQ(lab.state("10.0.0.10"), AddressState::Free);
}

TEST(DhcpSide, a_client_hears_our_address_of_its_own_network) {
    Lab lab;
    auto request = Asker{1}.discover();
    request.local = ip("192.168.9.9");  // the first address of that interface, of another network
    ASSERT_EQ(lab(request), "OFFER 10.0.0.10");
    EXPECT_EQ(lab.sent[0].reply.options.address(Code::ServerId), kUs);
    EXPECT_EQ(lab.sent[0].from, kUs);
}

TEST(DhcpSide, a_relayed_client_hears_the_address_of_the_interface_or_the_one_configured) {
    for (auto told : {Ipv4Address{}, ip("10.0.0.77")}) {
        auto config = small_config();
        config.told = {told};
        Lab lab(std::move(config));
        ASSERT_EQ(lab(Asker{.number = 1, .relay = ip("10.9.0.1")}.discover()), "OFFER 10.9.0.10");
        EXPECT_EQ(lab.sent[0].reply.options.address(Code::ServerId), told.is_zero() ? kUs : told);
        EXPECT_EQ(lab.sent[0].to, (UdpEndpoint{ip("10.9.0.1"), kServerPort}));
    }
}

TEST(DhcpSide, what_boots_a_client_comes_before_the_subnets_options_and_the_relays_option_stays_last) {
    ServerEngine engine(small_config(), {}, [](const Arrived& request, Message& reply) {
        reply.server = request.local;
        reply.file = "loader";
        reply.options.set(Code::VendorClass, "PXEClient");
    });
    auto request = Asker{.number = 1, .relay = ip("10.9.0.1")}.discover();
    request.message.options.set(Code::RelayAgent, std::string_view("\1\3abc", 5));
    auto actions = engine.handle(request, 0);
    ASSERT_EQ(actions.size(), 1u);
    const auto& reply = std::get<Send>(actions[0]).reply;
    EXPECT_EQ(reply.file, "loader");
    EXPECT_EQ(reply.server, kUs);
    EXPECT_EQ(reply.options.text(Code::VendorClass), "PXEClient");
    EXPECT_EQ(reply.options.all().back().code, static_cast<std::uint8_t>(Code::RelayAgent));
}
