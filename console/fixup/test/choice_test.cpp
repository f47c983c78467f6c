// SPDX-License-Identifier: GPL-3.0-or-later
// Where a disk is repaired.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

#include "console/fixup/choice.hpp"
#include "guest-fixup/errors.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/disks/vhd/vhd.hpp"

using namespace slipway;
using namespace slipway::console;
using testing::HasSubstr;

namespace {

HostFacts able() {
    return {true, true, [](const std::string&) { return true; }};
}

}  // namespace

TEST(Choice, a_plain_disk_is_repaired_here) {
    EXPECT_EQ(why_appliance({"", {"vfat", "ext4", "swap", ""}}, able()), "");
    EXPECT_EQ(why_appliance({"fixed", {"xfs"}}, able()), "");
    EXPECT_EQ(why_appliance({}, able()), "");  // without a file system the repair itself says so
}

TEST(Choice, layers_and_images_that_no_kernel_opens_go_to_the_appliance) {
    EXPECT_THAT(why_appliance({"dynamic", {"ext4"}}, able()), HasSubstr("dynamic VHD"));
    EXPECT_THAT(why_appliance({"differencing", {"ext4"}}, able()), HasSubstr("differencing VHD"));
    EXPECT_THAT(why_appliance({"", {"ext4", "LVM2_member"}}, able()), HasSubstr("LVM"));
    EXPECT_THAT(why_appliance({"", {"linux_raid_member"}}, able()), HasSubstr("RAID"));
    EXPECT_THAT(why_appliance({"", {"crypto_LUKS"}}, able()), HasSubstr("encrypted"));
}

TEST(Choice, a_host_that_lacks_what_it_takes_says_what) {
    auto host = able();
    host.root = false;
    EXPECT_THAT(why_appliance({"", {"ext4"}}, host), HasSubstr("root"));
    host = able();
    host.loop = false;
    EXPECT_THAT(why_appliance({"", {"ext4"}}, host), HasSubstr("loop"));
    host = able();
    host.mounts = [](const std::string& filesystem) { return filesystem != "xfs"; };
    EXPECT_THAT(why_appliance({"", {"ext4", "xfs"}}, host), HasSubstr("xfs"));
    EXPECT_EQ(why_appliance({"", {"ext4", "swap"}}, host), "");
    host.mounts = [](const std::string& filesystem) { return filesystem != "ntfs"; };
    EXPECT_THAT(why_appliance({"", {"ntfs"}}, host), HasSubstr("ntfs"));
    EXPECT_EQ(why_appliance({"", {"ext4", "ntfs"}}, host), "");  // data beside a Linux
}

TEST(Choice, a_disk_is_known_by_its_footer_and_a_foreign_image_is_named) {
    auto dir = TempDir::create("choice").value();
    ASSERT_TRUE(disks::create_vhd(dir / "a.vhd", disks::VhdKind::Dynamic, 4u << 20).ok());
    const auto facts = look_at_disks({dir / "a.vhd"});
    ASSERT_TRUE(facts.ok()) << facts.error().describe();
    EXPECT_EQ(facts->vhd, "dynamic");
    // Also when it is one of the machine's other disks.
    ASSERT_TRUE(disks::create_vhd(dir / "c.vhd", disks::VhdKind::Fixed, 4u << 20).ok());
    const auto both = look_at_disks({dir / "c.vhd", dir / "a.vhd", dir / "c.vhd"});
    ASSERT_TRUE(both.ok()) << both.error().describe();
    EXPECT_EQ(both->vhd, "dynamic");
    std::ofstream(dir / "b.qcow2") << "QFI\xfb" << std::string(1000, '\0');
    const auto foreign = look_at_disks({dir / "a.vhd", dir / "b.qcow2"});
    ASSERT_FALSE(foreign.ok());
    EXPECT_TRUE(foreign.error().is(fixup::errors::kImageFormat));
    EXPECT_THAT(foreign.error().message(), HasSubstr("qcow2"));
    EXPECT_FALSE(look_at_disks({dir / "none"}).ok());
}
