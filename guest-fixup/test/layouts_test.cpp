// SPDX-License-Identifier: GPL-3.0-or-later
// Which arrays and groups may be started, what device-mapper's names mean, which system is the root, and what is
// mounted below it in which order. Nothing is activated here; tests/lab/layouts does that.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/roots.hpp"
#include "guest-fixup/stack_plan.hpp"
#include "guest-fixup/stacks.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

namespace {

MdMember member(std::size_t volume, unsigned role, std::uint64_t events = 10, std::uint32_t active = 2) {
    MdMember out{.volume = volume};
    out.super.name = "host:0";
    out.super.level = 1;
    out.super.disks = 2;
    out.super.active = active;
    out.super.events = events;
    out.super.role = role;
    return out;
}

constexpr const char* kGroup = "LYXQ6v-1111-2222-3333-4444-5555-666666";
constexpr const char* kGroupDm = "LVM-LYXQ6v11112222333344445555666666";

PhysicalVolume physical(std::size_t volume, const std::string& uuid, const std::vector<std::string>& of,
                        const std::string& name = "vg0") {
    PhysicalVolume out{.volume = volume};
    out.label.uuid = uuid;
    disks::LvmGroup group{.name = name, .uuid = kGroup, .seqno = 3};
    for (std::size_t i = 0; i < of.size(); ++i) {
        const auto pv = "pv" + std::to_string(i);
        group.physical[pv] = {.name = pv, .uuid = of[i]};
    }
    out.metadata.group = group;
    return out;
}

std::vector<FoundRoot> two_systems() {
    return {{.volume = 0, .fstab = "UUID=aaaa / ext4 defaults 0 1\n", .distribution = "Debian"},
            {.volume = 1, .subvolume = "@", .fstab = "UUID=bbbb / btrfs subvol=@ 0 0\n", .distribution = "Ubuntu"}};
}

std::vector<Volume> volumes() {
    std::vector<Volume> out{{.index = 1, .filesystem = "ext4", .uuid = "aaaa"},
                            {.index = 2, .filesystem = "btrfs", .uuid = "bbbb"},
                            {.index = 3, .filesystem = "vfat", .uuid = "CCCC-1"},
                            {.filesystem = "ext4", .uuid = "dddd", .kind = VolumeKind::Lvm, .parents = {4}},
                            {.index = 1, .filesystem = "LVM2_member", .disk = 1}};
    out[3].names = {"/dev/mapper/vg0-usr", "/dev/vg0/usr"};
    return out;
}

}  // namespace

TEST(ArrayPlanTest, a_whole_mirror_is_started_under_the_guests_number) {
    const auto plans = plan_arrays({member(3, 0), member(5, 1)});
    ASSERT_EQ(plans.size(), 1u);
    EXPECT_EQ(plans[0].refused, "");
    EXPECT_FALSE(plans[0].degraded);
    EXPECT_EQ(plans[0].name, "md0");
    EXPECT_THAT(plans[0].members, ElementsAre(3, 5));
}

TEST(ArrayPlanTest, a_mirror_is_not_started_without_a_disk_that_was_in_it) {
    const auto plans = plan_arrays({member(3, 0)});
    ASSERT_EQ(plans.size(), 1u);
    EXPECT_THAT(plans[0].refused, HasSubstr("1 of its 2 members"));
}

TEST(ArrayPlanTest, a_mirror_that_lost_a_disk_before_is_started_and_said_to_be_degraded) {
    const auto plans = plan_arrays({member(3, 0, 10, 1)});
    EXPECT_EQ(plans.at(0).refused, "");
    EXPECT_TRUE(plans[0].degraded);
}

TEST(ArrayPlanTest, a_member_that_was_left_behind_is_not_taken) {
    const auto plans = plan_arrays({member(3, 0, 40, 1), member(5, 1, 10)});
    EXPECT_THAT(plans.at(0).members, ElementsAre(3));
    EXPECT_EQ(plans[0].refused, "");
    // One event apart is one state: a stop reached them one after the other.
    EXPECT_THAT(plan_arrays({member(3, 0, 11), member(5, 1, 10)}).at(0).members, ElementsAre(3, 5));
}

TEST(ArrayPlanTest, a_copy_of_a_member_is_refused) {
    EXPECT_THAT(plan_arrays({member(3, 0), member(4, 0), member(5, 1)}).at(0).refused, HasSubstr("two disks"));
}

TEST(ArrayPlanTest, stripes_and_parity_need_their_members) {
    auto one = member(1, 0, 10, 1);
    one.super.level = 0;
    EXPECT_THAT(plan_arrays({one}).at(0).refused, HasSubstr("too few"));
    auto first = member(1, 0, 10, 2), second = member(2, 1, 10, 2);
    for (auto* m : {&first, &second}) m->super.level = 5, m->super.disks = 3;
    EXPECT_EQ(plan_arrays({first, second}).at(0).refused, "");
    first.super.active = 1;
    EXPECT_THAT(plan_arrays({first}).at(0).refused, HasSubstr("too few"));
}

TEST(GroupPlanTest, a_group_needs_all_its_physical_volumes) {
    const std::vector<std::string> both{"u1", "u2"};
    const auto whole = plan_groups({physical(1, "u1", both), physical(4, "u2", both)});
    ASSERT_EQ(whole.size(), 1u);
    EXPECT_EQ(whole[0].refused, "");
    EXPECT_THAT(whole[0].members, ElementsAre(1, 4));
    EXPECT_THAT(plan_groups({physical(1, "u1", both)}).at(0).refused, HasSubstr("1 of its 2"));
    EXPECT_THAT(plan_groups({physical(1, "u1", {"u1"}), physical(2, "u1", {"u1"})}).at(0).refused,
                HasSubstr("two disks"));
}

TEST(GroupPlanTest, a_physical_volume_without_a_copy_of_the_text_belongs_by_its_uuid) {
    auto bare = physical(4, "u2", {});
    bare.metadata.group.reset();
    EXPECT_THAT(plan_groups({physical(1, "u1", {"u1", "u2"}), bare}).at(0).members, ElementsAre(1, 4));
}

TEST(GroupPlanTest, names_and_uuids_that_would_reach_a_command_line_are_checked) {
    for (const char* name : {"-x", "a b", "a/b", "..", "a\"b"})
        EXPECT_THAT(plan_groups({physical(1, "u1", {"u1"}, name)}).at(0).refused, HasSubstr("none that LVM")) << name;
    auto odd = physical(1, "u1", {"u1"});
    odd.metadata.group->uuid = "x || vg_name=host";
    EXPECT_THAT(plan_groups({odd}).at(0).refused, HasSubstr("none that LVM"));
}

TEST(GroupPlanTest, snapshots_are_told_from_systems) {
    auto pv = physical(1, "u1", {"u1"});
    auto& logical = pv.metadata.group->logical;
    logical["root"] = {.name = "root", .segments = {{.type = "striped"}}};
    logical["snapshot0"] = {.name = "snapshot0",
                            .segments = {{.type = "snapshot", .texts = {{"origin", "root"}, {"cow_store", "old"}}}}};
    logical["thin"] = {.name = "thin", .segments = {{.type = "thin"}}};
    logical["thin_old"] = {.name = "thin_old", .segments = {{.type = "thin", .texts = {{"origin", "thin"}}}}};
    EXPECT_THAT(plan_groups({pv}).at(0).snapshots, ElementsAre("old", "thin_old"));
}

TEST(MappingTest, dashes_in_names_are_doubled) {
    EXPECT_EQ(mapping_name("vg-a", "root"), "vg--a-root");
    const auto name = parse_mapping_name("vg--a-root--x");
    ASSERT_TRUE(name);
    EXPECT_EQ(name->group, "vg-a");
    EXPECT_EQ(name->volume, "root-x");
    for (const char* none : {"vg", "vg-lv-real", "", "-lv", "vg-"}) EXPECT_FALSE(parse_mapping_name(none)) << none;
}

TEST(MappingTest, parts_of_volumes_are_no_volumes) {
    const std::string id = kGroupDm, lv(32, 'x');
    const std::vector<Mapping> all{{"vg0-root", id + lv},
                                   {"vg0-pool-tpool", id + lv + "-tpool"},
                                   {"vg0-pool_tdata", id + lv + "-tdata"},
                                   {"vg0-m_rimage_0", id + lv},
                                   {"vg1-root", "LVM-other"},
                                   {"crypt", "CRYPT-LUKS2-x"}};
    const auto volumes = volumes_of_group(all, kGroup);
    ASSERT_EQ(volumes.size(), 1u);
    EXPECT_EQ(volumes[0].name, "vg0-root");
}

TEST(MappingTest, a_group_of_the_host_is_known_by_name_and_by_uuid) {
    const std::vector<Mapping> host{{"vg0-root", "LVM-hostgroup"},
                                    {"other-x", std::string(kGroupDm) + std::string(32, 'x')}};
    EXPECT_TRUE(group_is_active(host, "vg0", "another"));
    EXPECT_TRUE(group_is_active(host, "vg9", kGroup));
    EXPECT_FALSE(group_is_active(host, "vg", "another"));
    EXPECT_FALSE(group_is_active({{"vg0--b-root", "LVM-x"}}, "vg0", "another"));
    EXPECT_FALSE(group_is_active({{"vg0-root", "CRYPT-x"}}, "vg0", "another"));
}

TEST(LvmConfigTest, only_the_given_devices_are_looked_at) {
    GroupPlan plan{.name = "vg0", .uuid = kGroup};
    const auto config = lvm_config({"/dev/sda2", "/dev/dm-3"}, plan, "/run/x", false, false);
    EXPECT_THAT(config, HasSubstr(R"(filter=["a|^/dev/sda2$|","a|^/dev/dm-3$|","r|.*|"])"));
    EXPECT_THAT(config, HasSubstr("use_devicesfile=0"));
    EXPECT_THAT(config, HasSubstr("udev_sync=0"));
    EXPECT_THAT(config, HasSubstr("archive=0"));
    EXPECT_THAT(config, Not(HasSubstr("read_only_volume_list")));
    EXPECT_THAT(lvm_config({}, plan, "/run/x", true, true), HasSubstr("read_only_volume_list=[\"vg0\"]"));
    EXPECT_THAT(lvm_config({"/dev/x\"|y"}, plan, "/run/x", false, true), HasSubstr("a|^/dev/x..y$|"));
}

TEST(ActiveRecordsTest, what_is_written_is_read_back_and_other_lines_are_dropped) {
    const std::vector<ActiveRecord> records{{"array", "md0", "1:2:3:4", {}},
                                            {"group", "vg0", kGroup, {"/dev/sda2", "/dev/md0"}}};
    const auto back = parse_records(format_records(records));
    ASSERT_EQ(back.size(), 2u);
    EXPECT_EQ(back[1].name, "vg0");
    EXPECT_THAT(back[1].devices, ElementsAre("/dev/sda2", "/dev/md0"));
    EXPECT_THAT(parse_records("array\ngroup -x y\nluks ../x y\nrm md0 x\n\n"), IsEmpty());
}

TEST(ChooseRootTest, several_systems_are_named_and_one_can_be_chosen) {
    const auto all = volumes();
    const auto none = choose_root(two_systems(), all, "");
    ASSERT_FALSE(none.ok());
    EXPECT_TRUE(none.error().is(fixup::errors::kManyRoots));
    EXPECT_THAT(none.error().message(), HasSubstr("partition 1 (Debian), UUID=bbbb:@ (Ubuntu)"));
    for (const char* wanted : {"partition 2", "UUID=bbbb", "UUID=bbbb:@", "partition 2:@"})
        EXPECT_EQ(choose_root(two_systems(), all, wanted).value().volume, 1u) << wanted;
    EXPECT_TRUE(choose_root(two_systems(), all, "partition 7").error().is(fixup::errors::kManyRoots));
    EXPECT_TRUE(choose_root({}, all, "").error().is(fixup::errors::kNoRoot));
}

TEST(ChooseRootTest, a_snapshot_of_a_system_is_no_system) {
    std::vector<FoundRoot> found;
    for (const char* name : {"@", "@before-upgrade", "@other"})
        found.push_back({.subvolume = name, .fstab = "UUID=b / btrfs subvol=/@ 0 0\n"});
    found[2].fstab = "UUID=b / btrfs defaults,subvol=@other 0 0\n";
    const auto kept = without_snapshots(found);
    ASSERT_EQ(kept.size(), 2u);
    EXPECT_EQ(kept[0].subvolume, "@");
    EXPECT_EQ(kept[1].subvolume, "@other");
    // Without the system itself a snapshot is what there is.
    EXPECT_EQ(without_snapshots({found[1]}).size(), 1u);
}

TEST(MountPlanTest, mounts_are_ordered_by_what_lies_below_what) {
    const DeviceNames names(volumes(), "UUID=aaaa");
    const auto plan = plan_mounts(parse_fstab("UUID=CCCC-1 /boot//efi/ vfat umask=0077 0 1\n"
                                              "UUID=bbbb /boot btrfs defaults 0 2\n"
                                              "/dev/vg0/usr /usr ext4 ro 0 1\n"
                                              "UUID=aaaa / ext4 defaults 0 1\n"
                                              "/usr /srv none bind 0 0\n"
                                              "UUID=dddd /../etc ext4 defaults 0 0\n"
                                              "UUID=dddd /usr ext4 defaults 0 0\n"),
                                  names, 0, "");
    ASSERT_EQ(plan.mounts.size(), 3u);
    EXPECT_EQ(plan.mounts[0].where, "/boot");
    EXPECT_EQ(plan.mounts[1].where, "/boot/efi");
    EXPECT_EQ(plan.mounts[2].where, "/usr");
    EXPECT_EQ(plan.mounts[2].volume, 3u);
    EXPECT_THAT(plan.missing, IsEmpty());
}

TEST(MountPlanTest, subvolumes_of_the_roots_own_btrfs_are_mounted) {
    const DeviceNames names(volumes(), "UUID=bbbb");
    const auto plan =
        plan_mounts(parse_fstab("UUID=bbbb / btrfs subvol=@ 0 0\nUUID=bbbb /var btrfs noatime,subvol=/@var 0 0\n"
                                "UUID=bbbb /same btrfs subvol=@ 0 0\n"),
                    names, 1, "@");
    ASSERT_EQ(plan.mounts.size(), 1u);
    EXPECT_EQ(plan.mounts[0].subvolume, "@var");
}

TEST(MountPlanTest, what_the_repair_needs_and_is_not_there_is_named) {
    const DeviceNames names(volumes(), "UUID=aaaa");
    const auto plan = plan_mounts(parse_fstab("UUID=eeee /boot ext4 defaults 0 2\n/dev/sdc1 /var ext4 nofail 0 0\n"
                                              "UUID=ffff /home ext4 defaults 0 0\n"),
                                  names, 0, "");
    EXPECT_THAT(plan.missing, ElementsAre("/boot (UUID=eeee)"));
}

TEST(MountPlanTest, a_fstab_without_end_has_an_end) {
    std::string text;
    for (int i = 0; i < 5000; ++i) text += "UUID=dddd /m" + std::to_string(i) + " ext4 defaults 0 0\n";
    EXPECT_LE(plan_mounts(parse_fstab(text), DeviceNames(volumes(), ""), 0, "").mounts.size(), 64u);
}

TEST(DisksTest, the_second_disk_of_the_old_machine_is_the_second_of_the_request) {
    auto all = volumes();
    all[4].uuid = "second";
    EXPECT_EQ(DeviceNames(all, "UUID=aaaa").find("/dev/sdb1")->uuid, "second");
    EXPECT_EQ(DeviceNames(all, "/dev/vda1").find("/dev/vdb1")->uuid, "second");
    EXPECT_EQ(DeviceNames(all, "/dev/sdb1").find("/dev/sdc1")->uuid, "second");
    EXPECT_EQ(DeviceNames(all, "/dev/sdb1").find("/dev/sda1"), nullptr);
    // The root is on the second disk of the request.
    EXPECT_EQ(DeviceNames(all, "/dev/sdb1", 1).find("/dev/sda1")->uuid, "aaaa");
    EXPECT_EQ(DeviceNames(all, "").find("/dev/sdzzzzzzzzzzzz1"), nullptr);
}

TEST(DisksTest, logical_volumes_are_found_by_both_names) {
    const DeviceNames names(volumes(), "/dev/mapper/vg0-root");
    for (const char* spec : {"/dev/mapper/vg0-usr", "/dev/vg0/usr", "UUID=dddd"})
        EXPECT_NE(names.find(spec), nullptr) << spec;
    EXPECT_EQ(names.stable_name("/dev/vg0/usr"), std::nullopt);
}

TEST(CrypttabTest, mappings_and_their_sources_are_read) {
    const auto entries = parse_crypttab("# c\nroot UUID=1 none luks\n\nbad\n\tswap  /dev/sda3 /dev/urandom swap\n");
    ASSERT_EQ(entries.size(), 2u);
    EXPECT_EQ(entries[0].name, "root");
    EXPECT_EQ(entries[1].source, "/dev/sda3");
}

TEST(CrypttabTest, what_the_root_lies_in_is_opened_in_the_initramfs) {
    const std::string text =
        "# c\nroot UUID=1 none luks,discard\nswap UUID=2 none luks\nbare UUID=3\nkey UUID=4 none\n";
    const auto once = edit_crypttab_for_initramfs(text, {"root", "bare", "key"}).text;
    EXPECT_EQ(once,
              "# c\nroot UUID=1 none luks,discard,initramfs\nswap UUID=2 none luks\nbare UUID=3 none luks,initramfs\n"
              "key UUID=4 none luks,initramfs\n");
    EXPECT_EQ(edit_crypttab_for_initramfs(once, {"root", "bare", "key"}).text, once);
    EXPECT_EQ(edit_crypttab_for_initramfs(text, {}).text, text);
}

TEST(SandboxDevicesTest, names_from_a_hostile_disk_become_no_links_out_of_dev) {
    if (!std::filesystem::is_block_file("/dev/loop0")) GTEST_SKIP() << "no /dev/loop0 to stand for a volume";
    Volume hostile{.uuid = "../../etc/passwd", .label = "a/b", .partuuid = ".."};
    hostile.names = {"/dev/../etc/x", "/dev/vg/../../x", "/dev/mapper/..", "/dev/ok/lv"};
    hostile.device = "/dev/loop0";
    Volume unattached{.uuid = "aaaa"};
    const auto devices = devices_for_sandbox({hostile, unattached});
    EXPECT_THAT(devices.nodes, ElementsAre("/dev/loop0"));
    EXPECT_THAT(devices.links, ElementsAre(std::pair("block/7:0", "/dev/loop0"), std::pair("ok/lv", "/dev/loop0")));
}
