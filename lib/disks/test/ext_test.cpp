// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "lib/disks/test/checks.hpp"
#include "lib/disks/maps/ext_map.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;

class ExtFeatures : public testing::TestWithParam<const char*> {};

TEST_P(ExtFeatures, nothing_outside_the_map_is_missed) {
    if (!run_command({"mke2fs", "-V"}).ok()) GTEST_SKIP() << "e2fsprogs is not installed";
    auto dir = TempDir::create("ext").value();
    auto tree = make_tree(dir);
    auto image = dir / "fs.img";
    make_file(image, 300u << 20);
    std::vector<std::string> argv{"mke2fs", "-q", "-F", "-L", "world"};
    CommandOptions options;
    std::istringstream words{std::string(GetParam())};
    for (std::string w; words >> w;) argv.push_back(w);
    argv.insert(argv.end(), {"-d", tree.string(), image.string()});
    run(argv);
    auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
    auto map = map_used(*disk).value();
    ASSERT_EQ(map.why_all, "") << GetParam();
    EXPECT_EQ(map.label, "world");
    EXPECT_EQ(map.state, VolumeState::Clean);
    EXPECT_LT(map.used.total(), 120u << 20);
    scribble_outside(image, map);
    run({"e2fsck", "-fn", image.string()});
    auto out = dir / "out";
    std::filesystem::create_directory(out);
    run({"debugfs", "-R", "rdump / " + out.string(), image.string()});
    std::filesystem::remove_all(out / "lost+found");
    run({"diff", "-r", tree.string(), out.string()});
}

INSTANTIATE_TEST_SUITE_P(Ext, ExtFeatures,
                         testing::Values("-t ext2 -b 1024", "-t ext3 -b 2048", "-t ext4", "-t ext4 -b 1024",
                                         "-t ext4 -O ^64bit,^metadata_csum", "-t ext4 -O ^flex_bg",
                                         "-t ext4 -O ^uninit_bg,^metadata_csum", "-t ext4 -O sparse_super2",
                                         "-t ext4 -O ^resize_inode", "-t ext2 -O ^sparse_super,^resize_inode -b 1024"));

TEST(ExtMap, a_journal_to_recover_makes_every_sector_count) {
    auto dir = TempDir::create("ext").value();
    auto image = dir / "fs.img";
    make_file(image, 64u << 20);
    run({"mke2fs", "-q", "-F", "-t", "ext4", image.string()});
    run({"debugfs", "-w", "-R", "feature needs_recovery", image.string()});
    auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
    auto map = map_used(*disk).value();
    EXPECT_EQ(map.state, VolumeState::NeedsRecovery);
    EXPECT_EQ(map.used.total(), 64u << 20);
    EXPECT_NE(map.why_all.find("journal"), std::string::npos);
}

TEST(ExtMap, a_bitmap_that_disagrees_makes_every_sector_count) {
    auto dir = TempDir::create("ext").value();
    auto image = dir / "fs.img";
    make_file(image, 64u << 20);
    run({"mke2fs", "-q", "-F", "-t", "ext4", "-b", "4096", "-O", "^uninit_bg,^metadata_csum,^64bit", image.string()});
    auto before = FileDisk::open(image, OpenMode::ReadWrite).value();
    auto good = map_used(*before).value();
    ASSERT_EQ(good.why_all, "");
    // Group 0's block bitmap loses one bit: the count in the descriptor no longer agrees.
    Bytes descriptor(32);
    ASSERT_TRUE(before->read(4096, descriptor).ok());
    auto bitmap_at = ByteReader(descriptor).le32() * std::uint64_t{4096};
    ASSERT_TRUE(before->write(bitmap_at, Bytes(1)).ok());
    auto map = map_used(*before).value();
    EXPECT_NE(map.why_all.find("bitmap"), std::string::npos);
    EXPECT_EQ(map.used.total(), 64u << 20);
}
