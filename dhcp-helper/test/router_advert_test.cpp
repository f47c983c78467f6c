// SPDX-License-Identifier: GPL-3.0-or-later
#include "dhcp-helper/router_advert.hpp"

#include <gtest/gtest.h>

#include "dhcp-helper/client_limits.hpp"

using namespace slipway;
using namespace slipway::dhcp;

namespace {

Bytes solicitation(std::string_view options = {}) {
    ByteWriter w;
    w.u8(133).u8(0).be16(0x1234).be32(0).text(options);
    return std::move(w).take();
}
Ipv6Address link_local() {
    Ipv6Address a{};
    a[0] = std::byte{0xfe};
    a[1] = std::byte{0x80};
    a[15] = std::byte{1};
    return a;
}
constexpr std::string_view kSource{"\1\1\2\0\0\0\0\1", 8};

}  // namespace

TEST(RouterAdvert, a_solicitation_from_the_link_is_answered) {
    EXPECT_TRUE(is_solicitation(solicitation(), link_local(), 255));
    EXPECT_TRUE(is_solicitation(solicitation(kSource), link_local(), 255));
    EXPECT_TRUE(is_solicitation(solicitation(), kUnspecified, 255));
    EXPECT_TRUE(is_solicitation(solicitation("\x0e\1abcdef"), link_local(), 255));  // an option we do not know
}

TEST(RouterAdvert, what_came_from_elsewhere_or_is_malformed_is_not) {
    EXPECT_FALSE(is_solicitation(solicitation(), link_local(), 254));
    EXPECT_FALSE(is_solicitation(solicitation(kSource), kUnspecified, 255));
    EXPECT_FALSE(is_solicitation(solicitation(std::string_view("\1\0\2\0\0\0\0\1", 8)), link_local(), 255));
    EXPECT_FALSE(is_solicitation(solicitation(kSource.substr(0, 5)), link_local(), 255));
    auto other = solicitation();
    other[0] = std::byte{134};
    EXPECT_FALSE(is_solicitation(other, link_local(), 255));
    for (std::size_t size = 0; size < 8; ++size)
        EXPECT_FALSE(is_solicitation(ByteView(solicitation()).first(size), link_local(), 255)) << size;
}

TEST(RouterAdvert, the_answer_offers_nothing) {
    auto bytes = empty_advertisement({{0x52, 0x54, 0, 1, 2, 3}});
    EXPECT_EQ(to_hex(bytes),
              "8600000000000000"
              "0000000000000000"
              "0101525400010203");
}
