// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/group_socket.hpp"

#include <gtest/gtest.h>
#include <poll.h>

#include "imagestore/multicast/errors.hpp"
#include "imagestore/multicast/wire.hpp"

namespace slipway::multicast {
namespace {

IpAddress at(const char* text) { return *IpAddress::parse(text); }

TEST(GroupSocket, groups_that_others_live_by_are_refused) {
    for (const char* good :
         {"239.255.52.0", "224.0.1.0", "239.255.255.255", "ff15::5157:0", "ff18::1", "ff12::1", "ff35:30:2001:db8::1"})
        EXPECT_TRUE(is_group(at(good))) << good;
    for (const char* bad : {"10.0.0.1", "224.0.0.1", "224.0.0.251", "240.0.0.1", "::", "fd00::1", "ff02::1", "ff02::fb",
                            "ff05::1:3", "ff0e::1", "ff11::1", "ff10::1", "ff1f::1"})
        EXPECT_FALSE(is_group(at(bad))) << bad;
}

TEST(GroupSocket, all_groups_of_a_range_are_groups) {
    EXPECT_TRUE(is_first_group(at("239.255.52.0")));
    EXPECT_TRUE(is_first_group(at("239.255.240.0")));
    EXPECT_FALSE(is_first_group(at("239.255.240.1"))) << "the last would be 240.0.0.0";
    EXPECT_TRUE(is_first_group(at("ff15::ffff:f000")));
    EXPECT_FALSE(is_first_group(at("ff15::ffff:f001"))) << "the last would be ff15::";
}

TEST(GroupSocket, headers_are_those_of_the_family) {
    EXPECT_EQ(headers_of(true), 28u);
    EXPECT_EQ(headers_of(false), 48u);
    EXPECT_LE(1376 + kHeaderBytes + kDataHeadBytes + kTagBytes + headers_of(false), 1500u)
        << "a packet of the server's symbols, in an Ethernet frame";
}

TEST(GroupSocket, reports_arrive_at_a_port_of_the_range) {
    const GroupAddress group{at("239.77.0.2"), 8481};
    const auto here = segment_of(at("127.0.0.1")).value();
    auto any = GroupSender::open(group, here, 1);
    ASSERT_TRUE(any);
    const auto taken = any->port();
    ASSERT_NE(taken, 0);
    EXPECT_TRUE(GroupSender::open(group, here, 1, {taken, taken}).error().is(errors::kNoPort)) << "by the first one";
    const auto last = static_cast<std::uint16_t>(taken + 20);
    auto next = GroupSender::open(group, here, 1, {taken, last});
    ASSERT_TRUE(next) << next.error().describe();
    EXPECT_GT(next->port(), taken);
    EXPECT_LE(next->port(), last);
    { const auto closed = std::move(*any); }
    EXPECT_EQ(GroupSender::open(group, here, 1, {taken, last}).value().port(), taken) << "free again";
    EXPECT_EQ(GroupSender::open(group, here, 1, {taken, taken}).value().port(), taken) << "a range of one";
}

TEST(GroupSocket, a_segment_is_found_by_either_end) {
    const auto here = segment_of(at("127.0.0.1")).value();
    EXPECT_NE(here.index, 0u);
    EXPECT_EQ(here.address, at("127.0.0.1"));
    EXPECT_EQ(segment_towards("127.0.0.9").value().index, here.index);
    EXPECT_EQ(segment_in(true, here, false).value().address, here.address) << "of that family already";
    EXPECT_TRUE(segment_in(false, here, false).error().is(errors::kNoSegment)) << "there is no link of a loopback";
    EXPECT_TRUE(segment_of(at("192.0.2.1")).error().is(errors::kNoSegment));
    for (const char* wrong : {"", "x", "0.0.0.0", "::", "%lo"})
        EXPECT_TRUE(segment_towards(wrong).error().is(errors::kNoSegment)) << wrong;
}

TEST(GroupSocket, one_that_leaves_the_group_hears_it_no_more_until_it_joins_again) {
    const auto here = segment_of(at("127.0.0.1")).value();
    const GroupAddress group{at("239.77.0.2"), static_cast<std::uint16_t>(20000 + ::getpid() % 20000)};
    auto sender = GroupSender::open(group, here, 0).value();
    auto receiver = GroupReceiver::open(group, here).value();
    const auto heard = [&]() -> std::string {
        pollfd fd{receiver.fd(), POLLIN, 0};
        if (::poll(&fd, 1, 5000) != 1) return "nothing";
        return std::string(as_text(receiver.receive().at(0)));
    };
    ASSERT_TRUE(sender.send(to_bytes("first")));
    EXPECT_EQ(heard(), "first");
    ASSERT_TRUE(receiver.listen(false));
    ASSERT_TRUE(sender.send(to_bytes("while it is away")));
    ASSERT_TRUE(receiver.listen(true));
    ASSERT_TRUE(sender.send(to_bytes("last")));
    EXPECT_EQ(heard(), "last");
}

}  // namespace
}  // namespace slipway::multicast
