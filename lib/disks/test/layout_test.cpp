// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "lib/disks/layout.hpp"
#include "lib/disks/test/checks.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;

TEST(Layout, mbr_with_logical_partitions_as_sfdisk_sees_it) {
    if (!run_command({"sfdisk", "--version"}).ok()) GTEST_SKIP() << "sfdisk is not installed";
    auto dir = TempDir::create("table").value();
    auto image = dir / "disk.img";
    make_file(image, 64u << 20);
    run({"sfdisk", "-q", image.string()},
        "label: dos\nlabel-id: 0xdeadbeef\nstart=2048,size=8192,type=83,bootable\nstart=20480,size=100000,type=5\n"
        "start=22528,size=2048,type=82\nstart=28672,size=4096,type=83\n");
    auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
    auto layout = read_layout(*disk).value();
    EXPECT_EQ(layout.table, TableKind::Mbr);
    EXPECT_EQ(layout.mbr_signature, 0xdeadbeef);
    ASSERT_EQ(layout.partitions.size(), 3u);
    EXPECT_TRUE(layout.partitions[0].active);
    EXPECT_EQ(layout.partitions[0].offset, 2048u * 512);
    EXPECT_EQ(layout.partitions[1].index, 5u);
    EXPECT_EQ(layout.partitions[2].index, 6u);
    EXPECT_EQ(layout.partitions[2].offset, 28672u * 512);
}

TEST(Layout, gpt_falls_back_to_its_backup_and_says_so) {
    if (!run_command({"sfdisk", "--version"}).ok()) GTEST_SKIP() << "sfdisk is not installed";
    auto dir = TempDir::create("table").value();
    auto image = dir / "disk.img";
    make_file(image, 64u << 20);
    run({"sfdisk", "-q", image.string()},
        "label: gpt\nstart=2048,size=8192,type=uefi,name=boot\nstart=20480,size=8192,name=r\xc3\xb6t\n");
    auto disk = FileDisk::open(image, OpenMode::ReadWrite).value();
    auto layout = read_layout(*disk).value();
    EXPECT_EQ(layout.table, TableKind::Gpt);
    ASSERT_EQ(layout.partitions.size(), 2u);
    EXPECT_EQ(layout.partitions[0].type.text(), "c12a7328-f81f-11d2-ba4b-00a0c93ec93b");
    EXPECT_EQ(layout.partitions[1].name, "r\xc3\xb6t");
    EXPECT_TRUE(layout.notes.empty());
    ASSERT_TRUE(disk->write(512 + 60, Bytes(1, std::byte{0xff})).ok());
    auto backup = read_layout(*disk).value();
    EXPECT_EQ(backup.partitions.size(), 2u);
    ASSERT_EQ(backup.notes.size(), 1u);
    EXPECT_NE(backup.notes[0].find("backup"), std::string::npos);
}

TEST(Layout, partitions_behind_the_end_of_a_disk_cut_short_are_refused_and_say_how_far_it_went) {
    if (!run_command({"sfdisk", "--version"}).ok()) GTEST_SKIP() << "sfdisk is not installed";
    auto dir = TempDir::create("table").value();
    for (const char* label : {"gpt", "dos"}) {
        auto image = dir / label;
        make_file(image, 64u << 20);
        run({"sfdisk", "-q", image.string()},
            std::string("label: ") + label + "\nstart=2048,size=8192\nstart=20480,size=81920\n");
        std::filesystem::resize_file(image, 40u << 20);
        auto disk = FileDisk::open(image, OpenMode::ReadOnly).value();
        auto layout = read_layout(*disk).value();
        EXPECT_EQ(name_of(layout.table), std::string(label) == "gpt" ? "gpt" : "mbr");
        ASSERT_EQ(layout.partitions.size(), 1u);
        ASSERT_EQ(layout.refused.size(), 1u) << label;
        EXPECT_EQ(layout.refused[0].index, 2u);
        EXPECT_EQ(layout.reach, 50u << 20);
    }
}

TEST(Layout, a_looping_chain_of_logical_partitions_ends) {
    Bytes bytes(1u << 20);
    auto entry = [&](std::size_t at, unsigned char type, std::uint32_t start, std::uint32_t count) {
        bytes[at + 4] = std::byte{type};
        for (int i = 0; i < 4; ++i) {
            bytes[at + 8 + static_cast<std::size_t>(i)] = static_cast<std::byte>(start >> (8 * i));
            bytes[at + 12 + static_cast<std::size_t>(i)] = static_cast<std::byte>(count >> (8 * i));
        }
    };
    for (std::size_t sector : {0u, 64u, 65u}) {
        bytes[sector * 512 + 510] = std::byte{0x55};
        bytes[sector * 512 + 511] = std::byte{0xaa};
    }
    entry(0x1be, 0x05, 64, 1000);
    entry(64 * 512 + 0x1be, 0x83, 1, 1);
    entry(64 * 512 + 0x1ce, 0x05, 1, 10);
    entry(65 * 512 + 0x1ce, 0x05, 0, 10);
    MemoryDisk disk(std::move(bytes));
    auto layout = read_layout(disk).value();
    EXPECT_EQ(layout.partitions.size(), 1u);
    ASSERT_FALSE(layout.notes.empty());
    EXPECT_NE(layout.notes[0].find("loops"), std::string::npos);
}
