// SPDX-License-Identifier: GPL-3.0-or-later
#include <functional>

#include "dhcp-helper/errors.hpp"
#include "dhcp-helper/test/engine_fixture.hpp"

using namespace slipway;
using namespace slipway::dhcp;
using namespace slipway::dhcp::test;

namespace {

constexpr auto kFirst = "10.0.0.10";
const Asker kOwner{1}, kOther{2};

// Brings 10.0.0.10 into a state, with kOwner as its client.
Lab lab_in(AddressState state) {
    Lab lab(small_config(state == AddressState::Waiting ? ",probe=yes" : ",probe=no"));
    if (state == AddressState::Free) return lab;
    lab(kOwner.discover());
    if (state == AddressState::Offered) return lab;
    lab(kOwner.select(ip(kFirst)));
    if (state == AddressState::Expired) lab.now += 601;
    if (state == AddressState::Released) lab(kOwner.release(ip(kFirst)));
    if (state == AddressState::Declined) lab(kOwner.decline(ip(kFirst)));
    return lab;
}

struct Row {
    const char* event;
    std::function<Event()> make;
    // What is said and the state after it, by state before: free, offered, waiting, bound, expired, released, declined.
    std::array<const char*, 7> want;
};

const std::vector<Row>& table() {
    static const Ipv4Address a = ip(kFirst);
    static const std::vector<Row> rows{
        {"owner DISCOVER",
         [] { return kOwner.discover(); },
         {"OFFER 10.0.0.10 offered", "OFFER 10.0.0.10 offered", "OFFER 10.0.0.10 waiting", "OFFER 10.0.0.10 bound",
          "OFFER 10.0.0.10 offered", "OFFER 10.0.0.10 offered", "OFFER 10.0.0.11 declined"}},
        {"other DISCOVER",
         [] { return kOther.discover(); },
         {"OFFER 10.0.0.10 offered", "OFFER 10.0.0.11 offered", "OFFER 10.0.0.11 waiting", "OFFER 10.0.0.11 bound",
          "OFFER 10.0.0.11 expired", "OFFER 10.0.0.11 released", "OFFER 10.0.0.11 declined"}},
        {"owner SELECTING",
         [] { return kOwner.select(a); },
         {"ACK 10.0.0.10 bound", "ACK 10.0.0.10 bound", "- waiting", "ACK 10.0.0.10 bound", "ACK 10.0.0.10 bound",
          "ACK 10.0.0.10 bound", "NAK declined"}},
        {"other SELECTING",
         [] { return kOther.select(a); },
         {"ACK 10.0.0.10 bound", "NAK offered", "NAK waiting", "NAK bound", "ACK 10.0.0.10 bound",
          "ACK 10.0.0.10 bound", "NAK declined"}},
        {"owner selects another server",
         [] { return kOwner.select(a, ip("10.0.0.77")); },
         {"- free", "- free", "- free", "- bound", "- expired", "- released", "- declined"}},
        {"owner INIT-REBOOT",
         [] { return kOwner.init_reboot(a); },
         {"- free", "- offered", "- waiting", "ACK 10.0.0.10 bound", "ACK 10.0.0.10 bound", "ACK 10.0.0.10 bound",
          "NAK declined"}},
        {"other INIT-REBOOT",
         [] { return kOther.init_reboot(a); },
         {"- free", "NAK offered", "NAK waiting", "NAK bound", "- expired", "- released", "NAK declined"}},
        {"owner RENEWING",
         [] { return kOwner.renew(a); },
         {"NAK free", "NAK offered", "NAK waiting", "ACK 10.0.0.10 bound", "ACK 10.0.0.10 bound", "ACK 10.0.0.10 bound",
          "NAK declined"}},
        {"other RENEWING",
         [] { return kOther.renew(a); },
         {"NAK free", "NAK offered", "NAK waiting", "NAK bound", "NAK expired", "NAK released", "NAK declined"}},
        {"owner REBINDING",
         [] { return kOwner.rebind(a); },
         {"- free", "- offered", "- waiting", "ACK 10.0.0.10 bound", "ACK 10.0.0.10 bound", "ACK 10.0.0.10 bound",
          "NAK declined"}},
        {"other REBINDING",
         [] { return kOther.rebind(a); },
         {"- free", "NAK offered", "NAK waiting", "NAK bound", "- expired", "- released", "NAK declined"}},
        {"owner DECLINE",
         [] { return kOwner.decline(a); },
         {"- free", "- offered", "- waiting", "- declined", "- declined", "- released", "- declined"}},
        {"other DECLINE",
         [] { return kOther.decline(a); },
         {"- free", "- offered", "- waiting", "- bound", "- expired", "- released", "- declined"}},
        {"owner RELEASE",
         [] { return kOwner.release(a); },
         {"- free", "- offered", "- waiting", "- released", "- released", "- released", "- declined"}},
        {"other RELEASE",
         [] { return kOther.release(a); },
         {"- free", "- offered", "- waiting", "- bound", "- expired", "- released", "- declined"}},
        {"owner INFORM",
         [] { return kOwner.inform(a); },
         {"ACK free", "ACK offered", "ACK waiting", "ACK bound", "ACK expired", "ACK released", "ACK declined"}},
        {"probe: free",
         [] {
             return Probed{a, false};
         },
         {"- free", "- offered", "ACK 10.0.0.10 bound", "- bound", "- expired", "- released", "- declined"}},
        {"probe: in use",
         [] {
             return Probed{a, true};
         },
         {"- free", "- offered", "NAK declined", "- bound", "- expired", "- released", "- declined"}},
        {"a commit nobody waits for",
         [] {
             return Committed{999, true};
         },
         {"- free", "- offered", "- waiting", "- bound", "- expired", "- released", "- declined"}},
    };
    return rows;
}

}  // namespace

TEST(LeaseEngine, every_event_in_every_state) {
    for (const auto& row : table())
        for (std::size_t i = 0; i < row.want.size(); ++i) {
            auto state = static_cast<AddressState>(i);
            auto lab = lab_in(state);
            ASSERT_EQ(lab.state(kFirst), state) << name_of(state);
            auto said = lab(row.make());
            EXPECT_EQ(said + " " + std::string(name_of(lab.state(kFirst))), row.want[i])
                << row.event << " while " << name_of(state);
        }
}

TEST(LeaseEngine, a_server_without_authority_says_nak_only_to_who_names_it) {
    auto config = small_config();
    config.authoritative = false;
    Lab lab(config);
    EXPECT_EQ(lab.lease_to(kOwner), kFirst);
    EXPECT_EQ(lab(kOther.init_reboot(ip(kFirst))), "-");
    EXPECT_EQ(lab(kOther.renew(ip(kFirst))), "-");
    EXPECT_EQ(lab(kOther.rebind(ip(kFirst))), "-");
    EXPECT_EQ(lab(kOther.init_reboot(ip("192.168.0.1"))), "-");
    EXPECT_EQ(lab(kOther.select(ip(kFirst))), "NAK");
}

TEST(LeaseEngine, a_client_from_another_network_hears_nak_by_broadcast) {
    Lab lab;
    auto request = kOwner.rebind(ip("192.168.0.7"));
    EXPECT_EQ(lab(request), "NAK");
    EXPECT_EQ(lab.sent[0].to.text(), "255.255.255.255:68");
    Asker far{3, "", ip("10.9.0.1")};
    EXPECT_EQ(lab(far.init_reboot(ip("192.168.0.7"))), "NAK");
    EXPECT_EQ(lab.sent[0].to.text(), "10.9.0.1:67");
    EXPECT_TRUE(lab.sent[0].reply.flags & kBroadcastFlag);
    Asker unknown{4, "", ip("172.16.0.1")};
    EXPECT_EQ(lab(unknown.init_reboot(ip("192.168.0.7"))), "-");  // no link of ours
    EXPECT_EQ(lab(unknown.discover()), "-");
}

TEST(LeaseEngine, offers_hold_the_subnets_options_as_asked) {
    Lab lab;
    auto request = kOwner.discover();
    request.message.options.set(Code::ParameterList, std::string_view("\x1c\x0f\x06\x06\x2a\x35", 6));
    ASSERT_EQ(lab(request), "OFFER 10.0.0.10");
    EXPECT_EQ(describe(lab.sent[0].reply),
              "reply OFFER xid=00001001 secs=0 flags=0000 mac=52:54:00:00:00:01\n"
              "  yiaddr 10.0.0.10\n"
              "  53 message-type 2\n"
              "  54 server-id 10.0.0.1\n"
              "  51 lease-seconds 600\n"
              "  58 renewal-seconds 300\n"
              "  59 rebinding-seconds 525\n"
              "  1 subnet-mask 255.255.255.0\n"
              "  28 broadcast 10.0.0.255\n"
              "  15 domain-name 'lab.test'\n"
              "  6 name-servers 10.0.0.1 10.0.0.2\n");
    EXPECT_TRUE(lab.sent[0].raw);
    EXPECT_EQ(lab.sent[0].to.text(), "10.0.0.10:68");
}

TEST(LeaseEngine, a_lease_time_asked_for_is_kept_in_bounds) {
    Lab lab;
    for (auto [asked, given] : {std::pair(5u, 60u), {300u, 300u}, {0xffffffffu, 86400u}}) {
        auto request = kOwner.select(ip(kFirst));
        request.message.options.set_u32(Code::LeaseSeconds, asked);
        ASSERT_EQ(lab(request), "ACK 10.0.0.10");
        EXPECT_EQ(lab.sent[0].reply.options.u32(Code::LeaseSeconds), given);
        EXPECT_EQ(lab.stored.back().expires - lab.now, given);
    }
}

TEST(LeaseEngine, options_that_do_not_fit_the_client_are_left_out_not_the_protocols) {
    auto config = small_config();
    config.subnets[0].options.push_back({17, Bytes(200, std::byte{'a'})});
    config.subnets[0].options.push_back({119, Bytes(200, std::byte{'b'})});
    Lab lab(config);
    auto request = kOwner.discover();
    request.message.options.set(Code::ClientId, std::string(30, 'x'));
    lab(request);
    EXPECT_LE(encode_message(lab.sent[0].reply).size(), 548u);
    EXPECT_TRUE(lab.sent[0].reply.options.find(17));
    EXPECT_FALSE(lab.sent[0].reply.options.find(119));
    EXPECT_TRUE(lab.sent[0].reply.options.has(Code::ClientId));
    request.message.options.set(Code::MaxMessage, std::string_view("\x05\xdc", 2));
    lab(request);
    EXPECT_TRUE(lab.sent[0].reply.options.find(119));
}

TEST(LeaseEngine, the_relay_chooses_the_subnet_and_gets_its_option_back_last) {
    Lab lab;
    Asker far{3, "idx", ip("10.9.0.1")};
    auto request = far.discover();
    std::string agent("\x01\x04port\x02\x02\x01\x02", 10);
    request.message.options.set(Code::RelayAgent, agent);
    EXPECT_EQ(lab(request), "OFFER 10.9.0.10");
    EXPECT_EQ(lab.sent[0].to.text(), "10.9.0.1:67");
    EXPECT_EQ(lab.sent[0].reply.relay, ip("10.9.0.1"));
    const auto& last = lab.sent[0].reply.options.all().back();
    EXPECT_EQ(last.code, 82);
    EXPECT_EQ(as_text(last.data), agent);
    // RFC 3527: the link is another one than the relay's address
    request.message.options.set(Code::RelayAgent, std::string_view("\x05\x04\x0a\x00\x01\x00", 6));
    EXPECT_EQ(lab(request), "OFFER 10.0.1.10");
    EXPECT_EQ(lab.sent[0].to.text(), "10.9.0.1:67");
    // A damaged option goes back as it came and chooses nothing.
    request.message.options.set(Code::RelayAgent, std::string_view("\x05\x40\x0a", 3));
    EXPECT_EQ(lab(request), "OFFER 10.9.0.10");
    EXPECT_EQ(as_text(lab.sent[0].reply.options.get(Code::RelayAgent)), std::string_view("\x05\x40\x0a", 3));
}

TEST(LeaseEngine, each_interface_has_its_subnet_and_a_renewal_by_unicast_goes_by_its_address) {
    Lab lab;
    Asker there{3, "", {}, 1};
    EXPECT_EQ(lab.lease_to(there), "10.0.1.10");
    there.port = 0;
    EXPECT_EQ(lab(there.renew(ip("10.0.1.10"))), "ACK 10.0.1.10");
    EXPECT_EQ(lab.sent[0].to.text(), "10.0.1.10:68");
    EXPECT_FALSE(lab.sent[0].raw);
    EXPECT_EQ(lab(there.rebind(ip("10.0.1.10"))), "NAK");  // moved to the other link
}

TEST(LeaseEngine, a_client_is_its_identifier_else_its_hardware_address) {
    Lab lab;
    Asker rom{1, "rom"}, system{1, "system"}, moved{7, "rom"};
    EXPECT_EQ(lab.lease_to(rom), "10.0.0.10");
    EXPECT_EQ(lab.lease_to(system), "10.0.0.11");
    EXPECT_EQ(lab.lease_to(moved), "10.0.0.10");
    EXPECT_EQ(lab.lease_to(kOwner), "10.0.0.12");
    EXPECT_EQ(as_text(lab.sent[0].reply.options.get(Code::ClientId)), "");
    lab(rom.discover());
    EXPECT_EQ(lab.sent[0].reply.options.text(Code::ClientId), "rom");
}

TEST(LeaseEngine, a_reservation_goes_by_hardware_address_and_to_nobody_else) {
    Lab lab;
    Asker rom{0x99, "rom"}, system{0x99, "system"};
    EXPECT_EQ(lab.lease_to(rom), "10.0.0.99");
    EXPECT_EQ(lab.lease_to(system), "10.0.0.99");
    EXPECT_EQ(lab(kOther.select(ip("10.0.0.99"))), "NAK");
    EXPECT_EQ(lab(system.init_reboot(ip("10.0.0.10"))), "NAK");
    EXPECT_EQ(lab(system.init_reboot(ip("10.0.0.99"))), "ACK 10.0.0.99");
    // Somebody else sits on it: the machine boots with another one meanwhile.
    lab(system.decline(ip("10.0.0.99")));
    EXPECT_EQ(lab.lease_to(system), "10.0.0.10");
    lab.now += 3601;
    EXPECT_EQ(lab(system.renew(ip("10.0.0.10"))), "NAK");
    EXPECT_EQ(lab.lease_to(system), "10.0.0.99");
}

TEST(LeaseEngine, a_full_subnet_gives_out_what_expired_first) {
    Lab lab;
    for (std::uint8_t i = 1; i <= 3; ++i) {
        EXPECT_NE(lab.lease_to({i}), "-");
        lab.now += 10;
    }
    EXPECT_EQ(lab.lease_to({4}), "-");
    EXPECT_NE(lab.notes.back().find("no address is free in 10.0.0.0/24"), std::string::npos);
    lab(Asker{2}.release(ip("10.0.0.11")));
    EXPECT_EQ(lab.lease_to({4}), "10.0.0.11");
    lab.now += 605;
    EXPECT_EQ(lab.lease_to({5}), "10.0.0.10");
    EXPECT_EQ(lab.lease_to({1}), "10.0.0.12");
}

TEST(LeaseEngine, an_offer_not_taken_up_comes_free) {
    Lab lab;
    for (std::uint8_t i = 1; i <= 3; ++i) lab(Asker{i}.discover());
    EXPECT_EQ(lab(Asker{4}.discover()), "-");
    lab.now += 60;
    EXPECT_EQ(lab(Asker{4}.discover()), "OFFER 10.0.0.10");
    EXPECT_EQ(lab(Asker{1}.select(ip("10.0.0.10"))), "NAK");
    lab(Asker{4}.select(ip("10.0.0.10"), ip("10.0.0.77")));  // it chose another server
    EXPECT_EQ(lab(Asker{5}.discover()), "OFFER 10.0.0.10");
}

TEST(LeaseEngine, a_new_address_is_probed_once_while_its_client_has_the_offer) {
    Lab lab(small_config(",probe=yes"));
    EXPECT_EQ(lab(kOwner.discover()), "OFFER 10.0.0.10");
    EXPECT_EQ(lab(kOwner.discover()), "OFFER 10.0.0.10");
    ASSERT_EQ(lab.probes.size(), 1u);
    EXPECT_TRUE(lab.probes[0].on_link);
    EXPECT_EQ(lab(kOwner.select(ip(kFirst))), "-");  // waits
    EXPECT_EQ(lab(kOwner.select(ip(kFirst))), "-");  // asked again: still one answer
    EXPECT_EQ(lab(Probed{ip(kFirst), false}), "ACK 10.0.0.10");
    lab(kOwner.release(ip(kFirst)));
    EXPECT_EQ(lab.lease_to(kOwner), kFirst);  // its own again: nobody is asked
    EXPECT_EQ(lab.probes.size(), 1u);
    Asker far{3, "", ip("10.9.0.1")};
    lab(far.discover());
    EXPECT_FALSE(lab.probes.back().on_link);
}

TEST(LeaseEngine, a_client_refused_after_a_probe_is_offered_another_address) {
    Lab lab(small_config(",probe=yes"));
    lab(kOwner.discover());
    lab(kOwner.select(ip(kFirst)));
    EXPECT_EQ(lab(Probed{ip(kFirst), true}), "NAK");
    EXPECT_EQ(lab(kOwner.discover()), "OFFER 10.0.0.11");
    lab.now += 3600;
    EXPECT_EQ(lab.state(kFirst), AddressState::Free);
}

TEST(LeaseEngine, a_probe_that_is_never_answered_is_made_again) {
    Lab lab(small_config(",probe=yes"));
    lab(kOwner.discover());
    lab.now += 6;
    lab(kOwner.discover());
    EXPECT_EQ(lab.probes.size(), 2u);
}

TEST(LeaseEngine, nothing_is_acknowledged_before_it_is_stored) {
    Lab lab;
    lab(kOwner.discover());
    auto actions = lab.engine.handle(kOwner.select(ip(kFirst)), lab.now);
    ASSERT_EQ(actions.size(), 1u);
    auto first = std::get<Commit>(actions[0]).ticket;
    auto second = std::get<Commit>(lab.engine.handle(kOther.select(ip("10.0.0.11")), lab.now)[0]).ticket;
    EXPECT_LT(first, second);
    EXPECT_EQ(lab(Committed{first, true}), "ACK 10.0.0.10");
    EXPECT_EQ(lab(Committed{second, false}), "-");
    EXPECT_EQ(lab.state("10.0.0.11"), AddressState::Bound);  // never to another
    EXPECT_EQ(lab(kOther.select(ip("10.0.0.11"))), "ACK 10.0.0.11");
}

TEST(LeaseEngine, a_restart_knows_every_lease) {
    Lab before;
    before.lease_to(kOwner);
    before.lease_to(kOther);
    before(kOther.decline(ip("10.0.0.11")));
    Lab after(small_config(), before.engine.leases());
    EXPECT_EQ(after(Asker{3}.discover()), "OFFER 10.0.0.12");
    EXPECT_EQ(after(kOwner.rebind(ip(kFirst))), "ACK 10.0.0.10");
    EXPECT_EQ(after.state("10.0.0.11"), AddressState::Declined);
    EXPECT_EQ(after(kOther.renew(ip("10.0.0.11"))), "NAK");
}

TEST(LeaseEngine, what_is_no_dhcp_client_is_left_alone) {
    Lab lab;
    auto bootp = kOwner.discover();
    bootp.message.options.remove(53);
    EXPECT_EQ(lab(bootp), "-");
    auto ring = kOwner.discover();
    ring.message.hardware_type = 6;
    EXPECT_EQ(lab(ring), "-");
    for (auto type : {MessageType::Offer, MessageType::Ack, MessageType::Nak}) EXPECT_EQ(lab(kOwner.say(type)), "-");
    EXPECT_EQ(lab(kOwner.say(MessageType::Request)), "-");  // asks for nothing
    EXPECT_EQ(lab(kOwner.inform(ip("10.0.1.5"))), "-");     // of another link
}

TEST(LeaseEngine, a_flood_of_made_up_clients_takes_no_more_than_the_range) {
    Lab lab;
    for (unsigned i = 0; i < 2000; ++i) {
        Asker asker{static_cast<std::uint8_t>(i), "id" + std::to_string(i)};
        lab(asker.discover());
        lab(asker.select(ip("10.0.0.200")));
        lab(asker.renew(ip("10.0.0.201")));
        lab.now += i % 7;
    }
    EXPECT_TRUE(lab.engine.leases().empty());
    lab.now += 60;
    EXPECT_EQ(lab.lease_to(kOwner).substr(0, 8), "10.0.0.1");
}

TEST(LeaseEngine, subnets_that_cannot_be_served_are_refused_by_name) {
    auto wrong = [](std::string_view text, std::string_view why) {
        ServerConfig c;
        c.interfaces = {"eth0"};
        auto subnet = subnet_from_text(text);
        if (!subnet.ok()) {
            EXPECT_TRUE(subnet.error().is(errors::kConfig));
            EXPECT_NE(subnet.error().describe().find(why), std::string::npos) << subnet.error().describe();
            return;
        }
        c.subnets = {*subnet, subnet_from_text("10.7.0.0/16").value()};
        auto checked = check_config(c);
        ASSERT_FALSE(checked.ok()) << text;
        EXPECT_TRUE(checked.error().is(errors::kConfig));
        EXPECT_NE(checked.error().describe().find(why), std::string::npos) << checked.error().describe();
    };
    wrong("10.0.0.0", "no NETWORK/PREFIX");
    wrong("10.0.0.0/31", "no NETWORK/PREFIX");
    wrong("10.0.0.9/24", "bits of a host");
    wrong("10.0.0.0/24,range=10.0.1.1-10.0.1.2", "no host address");
    wrong("10.0.0.0/24,range=10.0.0.0-10.0.0.2", "no host address");
    wrong("10.0.0.0/24,range=10.0.0.9-10.0.0.2", "backwards");
    wrong("10.0.0.0/24,range=10.0.0.1-10.0.0.9,range=10.0.0.9-10.0.0.12", "overlaps");
    wrong("10.0.0.0/24,reserve=52:54:00:00:00:01@10.0.0.2,reserve=52:54:00:00:00:01@10.0.0.3", "reserved for twice");
    wrong("10.0.0.0/24,reserve=52:54:00:00:00:01@10.0.0.2,reserve=52:54:00:00:00:02@10.0.0.2", "reserved twice");
    wrong("10.0.0.0/24,interface=eth7", "eth7 is not served");
    wrong("10.7.9.0/24", "overlap");
    wrong("10.0.0.0/24,server-id=10.0.0.1", "the protocol's own");
    wrong("10.0.0.0/24,routers=ten", "no such value");
    wrong("10.0.0.0/24,frobnicate=1", "no option is called");
    wrong("10.0.0.0/24,lease=0", "no lease");
    wrong("10.0.0.0/24,words", "no NAME=VALUE");
}
