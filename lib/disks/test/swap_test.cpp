// SPDX-License-Identifier: GPL-3.0-or-later
#include <gtest/gtest.h>

#include "lib/disks/test/checks.hpp"

using namespace slipway;
using namespace slipway::disks;
using namespace slipway::disks::test;

TEST(SwapMap, keeps_the_header_and_not_the_content_unless_hibernated) {
    auto dir = TempDir::create("swap").value();
    auto image = dir / "swap.img";
    make_file(image, 16u << 20);
    run({"mkswap", "-q", "-L", "paging", image.string()});
    auto disk = FileDisk::open(image, OpenMode::ReadWrite).value();
    auto map = map_used(*disk).value();
    EXPECT_EQ(map.filesystem, "swap");
    EXPECT_EQ(map.label, "paging");
    EXPECT_EQ(map.used.total(), 4096u);
    ASSERT_TRUE(disk->write(4096 - 10, as_bytes(std::string_view("S1SUSPEND\0", 10))).ok());
    map = map_used(*disk).value();
    EXPECT_EQ(map.state, VolumeState::Hibernated);
    EXPECT_EQ(map.used.total(), 16u << 20);
}
