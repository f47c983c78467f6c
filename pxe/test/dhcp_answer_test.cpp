// SPDX-License-Identifier: GPL-3.0-or-later
// Boot answers inside the OFFER and ACK of our own DHCP server, and a relay's option in those of the proxy.
#include "pxe/dhcp_answer.hpp"

#include <gtest/gtest.h>

using namespace slipway;
using namespace slipway::pxe;
using dhcp::Code;
using dhcp::MessageType;

namespace {

const BootServer kServer{*Ipv4Address::parse("10.77.0.1"), 8480};

dhcp::Message ask(MessageType type, std::string_view vendor_class) {
    dhcp::Message m;
    m.set_type(type);
    m.options.set(Code::VendorClass, vendor_class);
    return m;
}

dhcp::Message lease_for(const dhcp::Message& request, MessageType type) {
    auto reply = dhcp::reply_to(request, type);
    reply.yours = *Ipv4Address::parse("10.77.0.10");
    return reply;
}

}  // namespace

TEST(DhcpAnswer, offer_and_ack_say_the_same_and_keep_their_type_and_address) {
    Answer answer{std::string(kPxeClass), "undionly.kpxe", false};
    for (auto [asked, given] :
         {std::pair{MessageType::Discover, MessageType::Offer}, std::pair{MessageType::Request, MessageType::Ack}}) {
        auto request = ask(asked, "PXEClient:Arch:00000:UNDI:002001");
        auto reply = lease_for(request, given);
        add_boot_answer(request, answer, kServer, reply);
        EXPECT_EQ(reply.type(), given);
        EXPECT_EQ(reply.yours.text(), "10.77.0.10");
        EXPECT_EQ(reply.server, kServer.address);
        EXPECT_EQ(reply.file, "undionly.kpxe");
        EXPECT_EQ(reply.options.text(Code::VendorClass), kPxeClass);
        EXPECT_FALSE(reply.options.has(Code::ServerId));  // the engine's to say
    }
}

TEST(DhcpAnswer, an_http_client_reads_its_uri_in_option_67) {
    Answer answer{std::string(kHttpClass), "http://10.77.0.1:8480/boot/ipxe/snponly.efi", true};
    auto request = ask(MessageType::Discover, "HTTPClient:Arch:00016:UNDI:003001");
    auto reply = lease_for(request, MessageType::Offer);
    add_boot_answer(request, answer, kServer, reply);
    EXPECT_EQ(reply.options.text(Code::BootFile), answer.file);
    EXPECT_EQ(reply.options.text(Code::VendorClass), kHttpClass);
}

TEST(DhcpAnswer, a_relay_gets_its_option_back_as_the_last_one) {
    auto request = ask(MessageType::Discover, "PXEClient");
    request.options.set(Code::RelayAgent, std::string_view("\1\3abc", 5));
    auto reply = dhcp::reply_to(request, MessageType::Offer);
    reply.options.set(Code::VendorClass, kPxeClass);
    return_relay_option(request, reply);
    EXPECT_EQ(reply.options.all().back().code, static_cast<std::uint8_t>(Code::RelayAgent));
    EXPECT_EQ(as_text(reply.options.get(Code::RelayAgent)), std::string_view("\1\3abc", 5));
    auto without = dhcp::reply_to(ask(MessageType::Discover, "PXEClient"), MessageType::Offer);
    return_relay_option(ask(MessageType::Discover, "PXEClient"), without);
    EXPECT_FALSE(without.options.has(Code::RelayAgent));
}
