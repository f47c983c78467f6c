// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "lib/disks/maps/cluster_extents.hpp"
#include "lib/disks/maps/volume_head.hpp"
#include "lib/disks/test/checks.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;

TEST(ClusterExtents, a_bitmap_in_pieces_gives_the_runs_of_its_bits) {
    constexpr std::uint64_t clusters = 8 * 1000 - 3;
    auto bits = pattern(1000, 3);
    std::fill_n(bits.begin() + 100, 300, std::byte{0xff});
    std::fill_n(bits.begin() + 500, 200, std::byte{0});
    ClusterExtents all({4096, 512, clusters});
    for (std::size_t at = 0; at < bits.size(); at += 77)
        all.add_bitmap(ByteView(bits).subspan(at, std::min<std::size_t>(77, bits.size() - at)), at * 8);
    auto used = all.extents(4096 + clusters * 512 + 100);
    for (std::uint64_t c = 0; c < clusters; ++c) {
        bool bit = (bits[c / 8] >> static_cast<int>(c % 8) & std::byte{1}) == std::byte{1};
        ASSERT_EQ(used.covers(4096 + c * 512), bit) << c;
        ASSERT_EQ(all.has({c, 1}), bit) << c;
    }
    EXPECT_TRUE(used.covers(0) && used.covers(4095)) << "before the clusters";
    EXPECT_TRUE(used.covers(4096 + clusters * 512 + 99)) << "behind them";
}

TEST(ClusterExtents, clusters_left_out_are_cut_from_what_is_used_and_counted) {
    ClusterExtents some({0, 1, 100});
    some.leave_out({{5, 5}, {20, 10}, {90, 5}});
    some.add({0, 8});
    some.add({8, 20});
    some.add({40, 10});
    EXPECT_EQ(some.extents(100).extents(), (std::vector<Extent>{{0, 5}, {10, 10}, {40, 10}}));
    EXPECT_EQ(some.left_out(), 13u) << "of 5+10+5, those that were used";
    EXPECT_FALSE(some.has({4, 2}));
}

TEST(ClusterExtents, the_worst_fragmentation_costs_reading_and_not_memory) {
    ClusterExtents some({0, 1, 1 << 20}, 1000);
    for (std::uint64_t c = 0; c < 1 << 20; c += 2) some.add({c, 1});
    auto used = some.extents(1 << 20);
    EXPECT_LE(used.extents().size(), 1000u);
    for (std::uint64_t c = 0; c < 1 << 20; c += 2) ASSERT_TRUE(used.covers(c));
    // The small gaps go first: a wide one stays.
    ClusterExtents gapped({0, 1, 1 << 20}, 1000);
    for (std::uint64_t c = 0; c < 10000; c += 2) gapped.add({c, 1});
    gapped.add({500000, 1});
    EXPECT_FALSE(gapped.extents(1 << 20).covers(250000));
}

TEST(ClusterExtents, overlapping_runs_are_seen) {
    std::vector<ClusterRun> apart{{10, 5}, {0, 10}}, over{{10, 5}, {0, 11}};
    EXPECT_TRUE(sort_disjoint(apart));
    EXPECT_EQ(apart[0].first, 0u);
    EXPECT_FALSE(sort_disjoint(over));
}

TEST(VolumeHead, labels_in_utf16_become_utf8_fit_for_a_terminal) {
    auto label = [](std::u16string_view units) {
        ByteWriter bytes;
        for (auto u : units) bytes.le16(u);
        return utf16_label(bytes.view());
    };
    EXPECT_EQ(label(u"Données"), "Données");
    EXPECT_EQ(label(u"\U0001f4be!"), "\U0001f4be!");
    EXPECT_EQ(label(std::u16string{u'a', 0xd800, u'b', 0xdc00}), "a\uFFFDb\uFFFD");
    EXPECT_EQ(label(std::u16string{u'a', 0xd800}), "a\uFFFD");
    EXPECT_EQ(label(u"a\u001b[2Jb"), "a\\x1b[2Jb");
    EXPECT_EQ(label(std::u16string{u'a', 0, u'b'}), "a");
}
