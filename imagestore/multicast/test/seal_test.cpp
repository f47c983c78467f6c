// SPDX-License-Identifier: GPL-3.0-or-later
#include "imagestore/multicast/seal.hpp"

#include <gtest/gtest.h>

#include <set>

namespace slipway::multicast {
namespace {

Key key_of(int seed) {
    Key key;
    key.fill(static_cast<std::byte>(seed));
    return key;
}
const Header kHeader{PacketType::Data, false, 0, 5, 6};

TEST(MulticastSeal, a_packet_opens_with_its_key_and_says_what_was_said) {
    Seal sender(key_of(1)), receiver(key_of(1)), stranger(key_of(2));
    for (bool clear : {false, true}) {
        auto header = kHeader;
        header.clear = clear;
        auto packet = sender.close(header, as_bytes("body"));
        EXPECT_EQ(packet.size(), kHeaderBytes + 4 + kTagBytes);
        EXPECT_EQ(as_text(packet).substr(kHeaderBytes, 4) == "body", clear);
        EXPECT_EQ(parse_header(packet).value(), header);
        auto body = receiver.open(header, packet);
        ASSERT_TRUE(body);
        EXPECT_EQ(as_text(*body), "body");
        EXPECT_FALSE(stranger.open(header, packet));
    }
}

TEST(MulticastSeal, not_one_bit_may_be_changed) {
    Seal seal(key_of(1));
    for (bool clear : {false, true}) {
        auto header = kHeader;
        header.clear = clear;
        const auto packet = seal.close(header, as_bytes("body"));
        for (std::size_t bit = 0; bit < packet.size() * 8; ++bit) {
            auto changed = packet;
            changed[bit / 8] ^= static_cast<std::byte>(1u << (bit % 8));
            auto read = parse_header(changed);
            EXPECT_FALSE(read && seal.open(*read, changed)) << bit;
        }
        EXPECT_FALSE(seal.open(header, ByteView(packet).first(packet.size() - 1)));
        EXPECT_FALSE(seal.open(header, ByteView(packet).first(kHeaderBytes)));
    }
}

TEST(MulticastSeal, an_empty_body_has_a_tag_too) {
    Seal seal(key_of(1));
    auto packet = seal.close(kHeader, {});
    EXPECT_TRUE(seal.open(kHeader, packet));
    packet.back() ^= std::byte{1};
    EXPECT_FALSE(seal.open(kHeader, packet));
}

TEST(MulticastSeal, what_is_sealed_depends_on_source_and_number) {
    Seal one(key_of(1));
    std::set<std::string> bodies;
    for (std::uint32_t source : {0u, 1u})
        for (std::uint64_t number : {1u, 2u}) {
            Header header{source ? PacketType::Report : PacketType::Data, false, source, 5, number};
            bodies.insert(to_hex(ByteView(one.close(header, as_bytes("body"))).subspan(kHeaderBytes, 4)));
        }
    EXPECT_EQ(bodies.size(), 4u);
}

TEST(ReplayWindow, passes_each_number_once) {
    ReplayWindow window;
    EXPECT_FALSE(window.newest());
    EXPECT_TRUE(window.fresh(10));
    window.pass(10);
    EXPECT_FALSE(window.fresh(10));
    EXPECT_TRUE(window.fresh(9)) << "late, and not seen";
    window.pass(9);
    EXPECT_FALSE(window.fresh(9));
    window.pass(12);
    EXPECT_TRUE(window.fresh(11));
    EXPECT_EQ(window.newest(), 12u);
}

TEST(ReplayWindow, as_a_set_of_the_last_4096) {
    ReplayWindow window;
    std::set<std::uint64_t> seen;
    std::uint64_t newest = 0, random = 12345;
    for (int i = 0; i < 200000; ++i) {
        random = random * 6364136223846793005 + 1442695040888963407;
        auto number = newest + (random >> 60) - std::min<std::uint64_t>(newest, (random >> 32) % 5000);
        if (i % 1000 == 0) number += (random >> 40) % 20000;
        const bool old = newest >= ReplayWindow::kSpan && number <= newest - ReplayWindow::kSpan;
        ASSERT_EQ(window.fresh(number), !old && !seen.contains(number)) << i << ' ' << number << ' ' << newest;
        if (!window.fresh(number)) continue;
        window.pass(number);
        seen.insert(number);
        newest = std::max(newest, number);
    }
}

}  // namespace
}  // namespace slipway::multicast
