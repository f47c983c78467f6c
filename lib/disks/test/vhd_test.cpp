// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "lib/disks/errors.hpp"
#include "lib/disks/test/checks.hpp"
#include "lib/disks/vhd/vhd.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;

class VhdKinds : public testing::TestWithParam<VhdKind> {};

TEST_P(VhdKinds, qemu_img_reads_what_we_write) {
    auto dir = TempDir::create("vhd").value();
    auto path = dir / "d.vhd";
    constexpr std::uint64_t size = 37u << 20;
    auto raw = FileDisk::create(dir / "d.raw", size).value();
    {
        auto vhd = create_vhd(path, GetParam(), size).value();
        EXPECT_EQ(vhd->size(), size);
        for (std::uint64_t at :
             {std::uint64_t{0}, std::uint64_t{511}, (std::uint64_t{2} << 20) - 3, std::uint64_t{9} << 20, size - 700}) {
            auto bytes = pattern(700, static_cast<unsigned>(at + 1));
            ASSERT_TRUE(vhd->write(at, bytes).ok());
            ASSERT_TRUE(raw->write(at, bytes).ok());
        }
        ASSERT_TRUE(vhd->discard(300, 100).value());
        ASSERT_TRUE(raw->discard(300, 100).value());
        ASSERT_TRUE(vhd->flush().ok());
    }
    auto info = inspect_vhd(path).value();
    EXPECT_EQ(info.kind, GetParam());
    EXPECT_EQ(info.creator, "win ");
    if (GetParam() == VhdKind::Dynamic) {
        EXPECT_EQ(info.allocated_blocks, 4u);
    }
    if (!run_command({"qemu-img", "--version"}).ok()) GTEST_SKIP() << "qemu-img is not installed";
    run({"qemu-img", "compare", "-f", "vpc", "-F", "raw", path.string(), (dir / "d.raw").string()});
}

TEST_P(VhdKinds, we_read_what_qemu_img_writes) {
    if (!run_command({"qemu-img", "--version"}).ok()) GTEST_SKIP() << "qemu-img is not installed";
    auto dir = TempDir::create("vhd").value();
    auto raw = FileDisk::create(dir / "d.raw", 24u << 20).value();
    ASSERT_TRUE(raw->write(5u << 20, pattern(3u << 20, 7)).ok());
    ASSERT_TRUE(raw->flush().ok());
    auto path = dir / "d.vhd";
    run({"qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o",
         std::string("force_size=on,subformat=") + std::string(name_of(GetParam())), (dir / "d.raw").string(),
         path.string()});
    auto vhd = open_disk(path, OpenMode::ReadOnly).value();
    ASSERT_EQ(vhd->size(), raw->size());
    Bytes ours(vhd->size()), theirs(raw->size());
    ASSERT_TRUE(vhd->read(0, ours).ok());
    ASSERT_TRUE(raw->read(0, theirs).ok());
    EXPECT_TRUE(ours == theirs);
}

INSTANTIATE_TEST_SUITE_P(Kinds, VhdKinds, testing::Values(VhdKind::Fixed, VhdKind::Dynamic),
                         [](const auto& p) { return std::string(name_of(p.param)); });

TEST(Vhd, a_wrong_checksum_and_a_cut_file_are_named) {
    auto dir = TempDir::create("vhd").value();
    auto path = dir / "d.vhd";
    ASSERT_TRUE(create_vhd(path, VhdKind::Fixed, 1u << 20).ok());
    auto file = FileDisk::open(path, OpenMode::ReadWrite).value();
    ASSERT_TRUE(file->write((1u << 20) + 70, as_bytes("x")).ok());
    auto opened = open_vhd(path, OpenMode::ReadOnly);
    ASSERT_FALSE(opened.ok());
    EXPECT_TRUE(opened.error().is(disks::errors::kVhdFooter));
    EXPECT_NE(opened.error().message().find("checksum"), std::string::npos);
    EXPECT_TRUE(
        create_vhd(dir / "huge.vhd", VhdKind::Dynamic, kVhdMaxBytes + 1).error().is(disks::errors::kVhdTooLarge));
    auto dynamic = dir / "y.vhd";
    {
        auto disk = create_vhd(dynamic, VhdKind::Dynamic, 8u << 20).value();
        ASSERT_TRUE(disk->write(0, pattern(512, 3)).ok());
    }
    std::filesystem::resize_file(dynamic, std::filesystem::file_size(dynamic) - 600);
    auto cut = open_vhd(dynamic, OpenMode::ReadOnly);
    ASSERT_FALSE(cut.ok());
    EXPECT_NE(cut.error().message().find("cut"), std::string::npos);
}
