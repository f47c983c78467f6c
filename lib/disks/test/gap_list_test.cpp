// SPDX-License-Identifier: GPL-3.0-or-later
#include "lib/disks/maps/gap_list.hpp"

#include <gtest/gtest.h>

using namespace slipway::disks;

TEST(GapList, gaps_out_of_order_are_refused) {
    GapList list;
    EXPECT_TRUE(list.add({100, 10}));
    EXPECT_FALSE(list.add({109, 5}));
    EXPECT_FALSE(list.add({200, 0}));
    EXPECT_FALSE(list.add({200, ~0ull}));
    EXPECT_TRUE(list.add({110, 5}));
    EXPECT_EQ(list.gaps(), (std::vector<Extent>{{100, 15}}));
    EXPECT_EQ(list.total(), 15u);
    EXPECT_TRUE(list.touches({90, 11}));
    EXPECT_TRUE(list.touches({114, 100}));
    EXPECT_FALSE(list.touches({90, 10}));
    EXPECT_FALSE(list.touches({115, 100}));
}

TEST(GapList, of_too_many_gaps_the_large_ones_are_kept) {
    GapList list(100);
    for (std::uint64_t i = 0; i < 10000; ++i) ASSERT_TRUE(list.add({i << 20, i % 1000 == 999 ? 1u << 16 : 4096u}));
    EXPECT_LE(list.gaps().size(), 100u);
    EXPECT_EQ(list.total(), 9990u * 4096 + 10u * 65536);
    for (std::uint64_t i = 999; i < 10000; i += 1000) EXPECT_TRUE(list.touches({(i << 20) + 65535, 1})) << i;
}
