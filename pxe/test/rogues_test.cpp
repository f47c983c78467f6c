// SPDX-License-Identifier: GPL-3.0-or-later
#include "pxe/rogues.hpp"

#include <gtest/gtest.h>

using namespace slipway;
using namespace slipway::pxe;
using namespace std::chrono_literals;

namespace {

Ipv4Address address(const char* text) { return *Ipv4Address::parse(text); }
const std::vector<Ipv4Address> kOurs{address("10.99.0.1")};

Overheard offer(const char* server, bool pxe = false, const char* next = "0.0.0.0") {
    return {dhcp::MessageType::Offer, address(server), address("10.99.0.50"), address(next), pxe, "", "br0"};
}

}  // namespace

TEST(Rogues, on_a_segment_of_ours_every_other_dhcp_server_is_one_once_an_hour) {
    Rogues rogues;
    Instant start{1h};
    auto told = rogues.heard(offer("10.99.0.9"), true, kOurs, start, {});
    ASSERT_TRUE(told);
    EXPECT_EQ(describe(*told), "10.99.0.9 answers DHCP on br0, a segment of ours");
    EXPECT_FALSE(rogues.heard(offer("10.99.0.9"), true, kOurs, start + 59min, {}));
    EXPECT_TRUE(rogues.heard(offer("10.99.0.9"), true, kOurs, start + 60min, {}));
    EXPECT_TRUE(rogues.heard(offer("10.99.0.8"), true, kOurs, start + 60min, {}));
    EXPECT_FALSE(rogues.heard(offer("10.99.0.1"), true, kOurs, start + 60min, {}));
    EXPECT_EQ(rogues.list().size(), 2u);
}

TEST(Rogues, beside_a_dhcp_server_only_who_answers_boot_clients_is_one) {
    Rogues rogues;
    Instant start{1h};
    EXPECT_FALSE(rogues.heard(offer("10.99.0.2"), false, kOurs, start, {}));
    EXPECT_FALSE(rogues.heard(offer("10.99.0.2", true, "10.99.0.1"), false, kOurs, start, {}));  // it points at us
    auto told = rogues.heard(offer("10.99.0.7", true), false, kOurs, start, {});
    ASSERT_TRUE(told);
    EXPECT_EQ(describe(*told), "10.99.0.7 answers boot clients on br0");
}

TEST(Rogues, made_up_servers_fill_neither_memory_nor_log) {
    Rogues rogues;
    unsigned told = 0;
    for (std::uint32_t n = 0; n < 1000; ++n) {
        auto o = offer("10.1.0.0");
        o.server.value += n;
        told += rogues.heard(o, true, kOurs, Instant{1h}, {}).has_value();
    }
    EXPECT_EQ(told, Rogues::kMany);
    EXPECT_EQ(rogues.list().size(), Rogues::kMany);
}
