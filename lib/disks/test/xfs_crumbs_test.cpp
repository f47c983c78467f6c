// SPDX-License-Identifier: GPL-3.0-or-later
// A volume in more crumbs than any disk here could hold, put together by hand: version 4, one AG.
#include <gtest/gtest.h>

#include "lib/disks/fuzz/pieces.hpp"
#include "lib/disks/maps/gap_list.hpp"
#include "lib/disks/maps/xfs_map.hpp"

using namespace slipway;
using namespace slipway::disks;

namespace {

constexpr std::uint32_t kBlock = 65536, kBlocks = 1u << 27;  // 8 TiB
constexpr std::uint32_t kLogAt = 16, kLogBlocks = 64, kTreesAt = 128, kFirstCrumb = 4096;
constexpr std::uint32_t kNone = 0xffffffff;

struct Crumb {
    std::uint32_t start, length;
};

// Every 64 blocks, one to 50 of them free; every thousandth all but one.
std::vector<Crumb> make_crumbs(std::uint32_t count) {
    std::vector<Crumb> crumbs;
    for (std::uint32_t i = 0; i < count; ++i)
        crumbs.push_back({kFirstCrumb + i * 64, i % 1000 == 0 ? 63u : 1 + i * 7 % 50});
    return crumbs;
}

ByteWriter tree_block(std::string_view magic, std::uint16_t level, std::size_t count, std::uint32_t left,
                      std::uint32_t right) {
    ByteWriter out;
    out.text(magic).be16(level).be16(static_cast<std::uint16_t>(count)).be32(left).be32(right);
    return out;
}

// Two levels from block `at` on, the root first. Returns how many blocks.
std::uint32_t put_tree(BlockDevice& disk, std::string_view magic, std::uint32_t at, const std::vector<Crumb>& crumbs) {
    constexpr std::size_t kRecords = (kBlock - 16) / 8, kPointers = (kBlock - 16) / 12;
    auto leaves = static_cast<std::uint32_t>((crumbs.size() + kRecords - 1) / kRecords);
    auto root = tree_block(magic, 1, leaves, kNone, kNone);
    for (std::uint32_t i = 0; i < leaves; ++i) {
        auto part = std::span(crumbs).subspan(i * kRecords);
        part = part.first(std::min(part.size(), kRecords));
        auto leaf = tree_block(magic, 0, part.size(), i == 0 ? kNone : at + i, i + 1 == leaves ? kNone : at + i + 2);
        for (const auto& c : part) leaf.be32(c.start).be32(c.length);
        EXPECT_TRUE(disk.write(std::uint64_t{at + 1 + i} * kBlock, leaf.view()).ok());
        root.be32(part[0].start).be32(part[0].length);
    }
    root.pad_to(16 + kPointers * 8);
    for (std::uint32_t i = 0; i < leaves; ++i) root.be32(at + 1 + i);
    EXPECT_TRUE(disk.write(std::uint64_t{at} * kBlock, root.view()).ok());
    return leaves + 1;
}

void put_super(BlockDevice& disk, std::uint64_t free) {
    ByteWriter super;
    super.text("XFSB").be32(kBlock).be64(kBlocks).zeros(32).be64(kLogAt);
    super.be64(std::uint64_t{8} << 8);  // the root directory's inode, in block 8
    super.pad_to(84).be32(kBlocks).be32(1).zeros(4).be32(kLogBlocks).be16(0x8004).be16(512).be16(256).be16(256);
    super.pad_to(123).u8(8).u8(27);
    super.pad_to(144).be64(free).pad_to(200).be32(2).pad_to(512);  // lazy counters
    EXPECT_TRUE(disk.write(0, super.view()).ok());
    ByteWriter record;  // of an unmount
    record.be32(0xfeedbabe).be32(1).be32(2).be32(512).pad_to(40).be32(1).pad_to(320).be32(32768).pad_to(512);
    record.be32(1).be32(8).u8(0xaa).u8(0x20).pad_to(1024);
    EXPECT_TRUE(disk.write(std::uint64_t{kLogAt} * kBlock, record.view()).ok());
}

void put_headers(BlockDevice& disk, const std::vector<Crumb>& crumbs) {
    auto by_size = crumbs;
    std::sort(by_size.begin(), by_size.end(), [](const Crumb& a, const Crumb& b) {
        return std::pair(a.length, a.start) < std::pair(b.length, b.start);
    });
    auto blocks = put_tree(disk, "ABTB", kTreesAt, crumbs);
    put_tree(disk, "ABTC", kTreesAt + blocks, by_size);
    std::uint32_t free = 0;
    for (const auto& c : crumbs) free += c.length;
    ByteWriter agf;
    agf.text("XAGF").be32(1).be32(0).be32(kBlocks).be32(kTreesAt).be32(kTreesAt + blocks).be32(0).be32(2).be32(2);
    agf.pad_to(40).be32(0).be32(127).be32(0).be32(free).be32(63).be32(2 * (blocks - 1)).pad_to(512);
    agf.text("XAGI").be32(1).be32(0).be32(kBlocks).be32(64).be32(9);
    EXPECT_TRUE(disk.write(512, agf.view()).ok());
    put_super(disk, free + 2 * (blocks - 1));
}

UsedMap map_of(BlockDevice& disk) {
    auto map = map_used(disk).value();
    EXPECT_EQ(map.filesystem, "xfs");
    EXPECT_EQ(map.why_all, "");
    return map;
}

}  // namespace

TEST(XfsCrumbs, a_few_are_mapped_one_by_one) {
    fuzz::SparseDisk disk(std::uint64_t{kBlocks} * kBlock);
    auto crumbs = make_crumbs(20000);
    put_headers(disk, crumbs);
    auto map = map_of(disk);
    ASSERT_EQ(map.used.extents().size(), crumbs.size() + 1);
    for (std::size_t i = 0; i < crumbs.size(); ++i) {
        EXPECT_EQ(map.used.extents()[i].end(), std::uint64_t{crumbs[i].start} * kBlock);
        EXPECT_EQ(map.used.extents()[i + 1].offset, std::uint64_t{crumbs[i].start + crumbs[i].length} * kBlock);
    }
}

TEST(XfsCrumbs, of_two_million_the_smallest_count_as_used) {
    fuzz::SparseDisk disk(std::uint64_t{kBlocks} * kBlock);
    auto crumbs = make_crumbs(2'000'000);
    put_headers(disk, crumbs);
    auto map = map_of(disk);
    EXPECT_LE(map.used.extents().size(), GapList::kLimit + 1);
    EXPECT_GT(map.used.extents().size(), GapList::kLimit / 4);
    std::uint64_t free = 0;
    for (const auto& c : crumbs) {
        free += c.length;
        ASSERT_TRUE(map.used.covers(std::uint64_t{c.start} * kBlock - 1));
        ASSERT_TRUE(map.used.covers(std::uint64_t{c.start + c.length} * kBlock));
        if (c.length == 63) {
            ASSERT_FALSE(map.used.covers(std::uint64_t{c.start} * kBlock));
        }
    }
    // Most of the free space is still left out.
    EXPECT_GT(disk.size() - map.used.total(), free * kBlock / 2);
}
