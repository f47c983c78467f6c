// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/storage_edits.hpp"

using namespace slipway::fixup;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

namespace {

template <typename Edit>
std::string twice(Edit&& edit, const std::string& text) {
    const auto once = edit(text).text;
    EXPECT_EQ(edit(once).text, once);
    return once;
}

}  // namespace

TEST(Mdadm, disks_by_name_give_way_to_uuids) {
    EXPECT_EQ(twice(edit_mdadm,
                    "# DEVICE /dev/sda1\nDEVICE /dev/sda1 /dev/sdb1\nHOMEHOST <system>\n"
                    "ARRAY /dev/md0 devices=/dev/sda1,/dev/sdb1 UUID=3aaa0122:29827cfa:5331ad66:ca767371\n"
                    "ARRAY /dev/md/1  metadata=1.2 UUID=a name=h:1\nMAILADDR root\n"),
              "# DEVICE /dev/sda1\nDEVICE partitions\nHOMEHOST <system>\n"
              "ARRAY /dev/md0 UUID=3aaa0122:29827cfa:5331ad66:ca767371\n"
              "ARRAY /dev/md/1  metadata=1.2 UUID=a name=h:1\nMAILADDR root\n");
    EXPECT_EQ(twice(edit_mdadm, "DEVICE partitions containers\n"), "DEVICE partitions containers\n");
}

TEST(Mdadm, an_array_known_by_its_disks_alone_is_warned_of) {
    const std::string text = "ARRAY /dev/md0 level=raid1 devices=/dev/sda1,/dev/sdb1\n";
    EXPECT_EQ(edit_mdadm(text).text, text);
    EXPECT_THAT(edit_mdadm(text).warnings, ElementsAre(HasSubstr("/dev/md0")));
}

TEST(LvmDevices, entries_of_the_old_disks_are_stale_and_those_of_md_are_not) {
    const std::string head = "# LVM uses devices listed in this file.\n# HASH=1\nPRODUCT_UUID=x\nVERSION=1.1.2\n";
    EXPECT_TRUE(devices_file_is_stale(head + "IDTYPE=sys_wwid IDNAME=naa.5000 DEVNAME=/dev/sda2 PVID=x PART=2\n"));
    EXPECT_TRUE(devices_file_is_stale(head + "IDTYPE=devname IDNAME=/dev/sda2 DEVNAME=/dev/sda2 PVID=x\n"));
    EXPECT_FALSE(devices_file_is_stale(head + "IDTYPE=md_uuid IDNAME=a:b DEVNAME=/dev/md0 PVID=x\n"));
    EXPECT_FALSE(devices_file_is_stale(head + "#IDTYPE=devname\n"));
}

TEST(LvmFilter, one_that_keeps_to_old_names_is_a_comment_and_others_stay) {
    EXPECT_EQ(twice(edit_lvm_filter, "devices {\n\tfilter = [ \"a|/dev/sda.*|\", \"r|.*|\" ]\n}\n"),
              "devices {\n# slipway: \tfilter = [ \"a|/dev/sda.*|\", \"r|.*|\" ]\n}\n");
    for (const std::string stays :
         {"global_filter = [ \"a|.*|\" ]\n", "filter = [ \"r|/dev/cdrom|\" ]\n",
          "# filter = [ \"a|/dev/sda|\", \"r|.*|\" ]\n", "filter = [ \"a|/dev/md.*|\", \"a|/dev/sda|\", \"r|.*|\" ]\n",
          "filter = [ \"a|sd.*|\" ]\n"})
        EXPECT_EQ(twice(edit_lvm_filter, stays), stays);
    EXPECT_THAT(edit_lvm_filter("global_filter = [\n \"a|/dev/sda|\",\n \"r|.*|\" ]\n").warnings,
                ElementsAre(HasSubstr("global_filter")));
}

TEST(Modprobe, the_controllers_alias_is_the_targets_and_lost_cards_go) {
    const auto edit = [](std::string_view text) {
        return edit_modprobe(text, "/etc/modprobe.conf", {"virtio_pci", "virtio_blk"});
    };
    EXPECT_EQ(twice(edit,
                    "alias eth0 bnx2\nalias eth1 off\nalias scsi_hostadapter megaraid_sas\n"
                    "alias scsi_hostadapter1 ata_piix\nalias snd-card-0 x\noptions bonding mode=1\n"),
              "# slipway: alias eth0 bnx2\nalias eth1 off\nalias scsi_hostadapter virtio_blk\n"
              "# slipway: alias scsi_hostadapter1 ata_piix\nalias snd-card-0 x\noptions bonding mode=1\n");
}

TEST(Modprobe, a_needed_module_that_is_kept_away_is_named_and_let_in) {
    const auto edit = [](std::string_view text) {
        return edit_modprobe(text, "/etc/modprobe.d/x.conf", {"virtio_blk", "ahci"});
    };
    EXPECT_EQ(twice(edit, "blacklist virtio-blk\nblacklist nouveau\ninstall ahci /bin/true\ninstall ahci modprobe x\n"),
              "# slipway: blacklist virtio-blk\nblacklist nouveau\n# slipway: install ahci /bin/true\n"
              "install ahci modprobe x\n");
    EXPECT_THAT(edit("blacklist virtio_blk\n").warnings,
                ElementsAre(HasSubstr("/etc/modprobe.d/x.conf kept virtio_blk")));
}

TEST(SuseKernel, drivers_join_the_list_that_is_there) {
    const auto text = add_initrd_modules("INITRD_MODULES=\"piix megaraid_sas\"\n", {"ata_piix"});
    EXPECT_EQ(text, "INITRD_MODULES=\"piix megaraid_sas ata_piix\"\n");
    EXPECT_EQ(add_initrd_modules(text, {"ata_piix"}), text);
    EXPECT_EQ(add_initrd_modules("DEFAULTKERNEL=kernel\n", {"ata_piix"}), "DEFAULTKERNEL=kernel\n");
}

TEST(OldNames, comments_do_not_count) {
    EXPECT_TRUE(names_old_disks("command_line {\n}\n/dev/sda {\n"));
    EXPECT_FALSE(names_old_disks("# /dev/sda {\n/dev/mapper/x\n"));
}
