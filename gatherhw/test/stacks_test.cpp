// SPDX-License-Identifier: GPL-3.0-or-later
// What mdstat, LVM's backups and fstab add to an imported inventory.
#include <algorithm>

#include <gtest/gtest.h>

#include "gatherhw/errors.hpp"
#include "gatherhw/importers/importers.hpp"
#include "gatherhw/reader.hpp"
#include "gatherhw/writer.hpp"
#include "lib/base/fd.hpp"

using namespace slipway;
using namespace slipway::gatherhw;

namespace {

std::string seed(const std::string& name) {
    return read_text_file(SLIPWAY_SOURCE_DIR "/gatherhw/fuzz/seeds-import-stacks/" + name).value();
}

Inventory machine() {
    Inventory i;
    i.os.family = "linux";
    for (const char* name : {"sda", "sdb"}) {
        Disk d{.name = name, .path = std::string("/dev/") + name};
        d.size = 1ull << 40;
        i.disks.push_back(d);
    }
    i.disks[0].partitions = {{.index = 1, .name = "sda1"}, {.index = 2, .name = "sda2"}};
    i.volumes = {{.name = "sda1", .path = "/dev/sda1", .kind = VolumeKind::Partition, .backing = {"sda"}},
                 {.name = "sda2", .path = "/dev/sda2", .kind = VolumeKind::Partition, .backing = {"sda"}}};
    i.volumes[0].uuid = "01";
    return i;
}

std::vector<std::string> unread(const Inventory& i) {
    std::vector<std::string> out;
    for (const auto& u : i.unread) out.push_back(u.what);
    return out;
}

void expect_sound(const Inventory& i) {
    auto read = read_inventory(to_xml(i));
    ASSERT_TRUE(read.ok()) << read.error().explain();
    EXPECT_TRUE(read->inventory == i);
}

using Texts = std::vector<std::string>;

}  // namespace

TEST(Mdstat, arrays_over_disks_partitions_and_each_other) {
    auto i = machine();
    auto added = add_mdstat(i, seed("mdstat"));
    ASSERT_TRUE(added.ok()) << added.error().explain();
    expect_sound(i);
    const auto *md0 = find_volume(i, "md0"), *md1 = find_volume(i, "md1");
    ASSERT_TRUE(md0 && md1);
    EXPECT_EQ(md0->kind, VolumeKind::Md);
    EXPECT_EQ(md0->detail, "raid1");
    EXPECT_EQ(md0->size, 104320u * 1024);
    EXPECT_EQ(md0->backing, (Texts{"sda2", "sda1"}));
    EXPECT_EQ(md0->filesystem, "linux-raid-member") << "md1 lies on it";
    EXPECT_EQ(md1->detail, "raid5, 2 of 3 members");
    EXPECT_EQ(disks_of(i, *md1), (Texts{"sda", "sdb"}));
    EXPECT_EQ(find_volume(i, "sda2")->filesystem, "linux-raid-member");
    EXPECT_EQ(i.disks[0].member_of, Texts{"md"});
    EXPECT_EQ(i.disks[1].member_of, Texts{"md"});
    EXPECT_EQ(unread(i), Texts{"array md9"});
    const auto once = i;
    ASSERT_TRUE(add_mdstat(i, seed("mdstat").substr(0, seed("mdstat").find("md9"))).ok());
    EXPECT_EQ(i.volumes, once.volumes) << "the same again adds no volume";
}

TEST(LvmBackup, volumes_over_physical_ones_and_through_hidden_ones) {
    auto i = machine();
    auto added = add_lvm_backup(i, seed("backup"));
    ASSERT_TRUE(added.ok()) << added.error().explain();
    expect_sound(i);
    const auto* root = find_volume(i, "vg--0-root");
    ASSERT_NE(root, nullptr) << "a dash of a name is doubled";
    EXPECT_EQ(root->path, "/dev/mapper/vg--0-root");
    EXPECT_EQ(root->kind, VolumeKind::Lvm);
    EXPECT_EQ(root->size, 10u * 65536 * 512);
    EXPECT_EQ(root->backing, (Texts{"sda2", "sdz"})) << "by its mirror's halves";
    EXPECT_EQ(root->detail, "volume group vg-0");
    EXPECT_EQ(disks_of(i, *root), Texts{"sda"});
    EXPECT_EQ(find_volume(i, "vg--0-root_mimage_0"), nullptr) << "hidden";
    EXPECT_EQ(find_volume(i, "sda2")->filesystem, "lvm2-member");
    EXPECT_EQ(i.disks[0].member_of, Texts{"lvm"});
    EXPECT_EQ(unread(i), Texts{"sdz of vg-0"}) << "a device that the dump does not have";
}

TEST(Fstab, names_volumes_by_path_uuid_and_as_lvm_does) {
    auto i = machine();
    ASSERT_TRUE(add_mdstat(i, seed("mdstat")).ok());
    ASSERT_TRUE(add_lvm_backup(i, seed("backup")).ok());
    i.unread.clear();
    auto added = add_fstab(i, seed("fstab"));
    ASSERT_TRUE(added.ok()) << added.error().explain();
    expect_sound(i);
    EXPECT_EQ(find_volume(i, "vg--0-root")->mount_points, Texts{"/"});
    EXPECT_EQ(find_volume(i, "vg--0-root")->filesystem, "ext3");
    EXPECT_EQ(find_volume(i, "vg--0-root")->fstab_spec, "/dev/vg-0/root");
    EXPECT_EQ(find_volume(i, "sda1")->mount_points, Texts{"/boot"});
    EXPECT_EQ(find_volume(i, "md0")->mount_points, Texts{"swap"});
    EXPECT_EQ(unread(i), Texts{"what lies at /srv/with blank"}) << "tmpfs lies on no volume";
    const auto once = i;
    ASSERT_TRUE(add_fstab(i, seed("fstab")).ok());
    EXPECT_EQ(i.volumes, once.volumes);
}

TEST(Fstab, does_not_move_what_is_mounted) {
    auto i = machine();
    i.volumes[0].mounted = true;
    i.volumes[0].mount_points = {"/old"};
    i.volumes[0].filesystem = "xfs";
    ASSERT_TRUE(add_fstab(i, seed("fstab")).ok());
    EXPECT_EQ(i.volumes[0].mount_points, Texts{"/old"});
    EXPECT_EQ(i.volumes[0].filesystem, "xfs");
}

TEST(Stacks, other_texts_and_a_windows_are_refused_and_change_nothing) {
    const auto before = machine();
    for (auto add : {add_mdstat, add_lvm_backup, add_fstab})
        for (const std::string& text :
             {std::string(), std::string("x"), std::string("# a comment\n"), std::string((1u << 20) + 1, 'P')}) {
            auto i = before;
            auto added = add(i, text);
            ASSERT_FALSE(added.ok()) << text.substr(0, 10);
            EXPECT_TRUE(added.error().is(errors::kBadDump)) << added.error().explain();
            EXPECT_TRUE(i == before);
        }
    auto windows = before;
    windows.os.family = "windows";
    EXPECT_FALSE(add_fstab(windows, seed("fstab")).ok());
    auto i = before;
    auto cut = seed("backup");
    EXPECT_FALSE(add_lvm_backup(i, std::string_view(cut).substr(0, cut.size() / 2)).ok());
    EXPECT_TRUE(i == before);
}
