// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/drivers.hpp"
#include "guest-fixup/edits.hpp"
#include "guest-fixup/network.hpp"
#include "guest-fixup/proof.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

namespace {

std::vector<Volume> two_volumes() {
    return {{.index = 1, .filesystem = "ext4", .uuid = "aaaa-1", .label = "root", .partuuid = "0badcafe-01"},
            {.index = 2, .filesystem = "swap", .uuid = "bbbb-2", .partuuid = "0badcafe-02"}};
}

const MacAddress kOld = *MacAddress::parse("52:54:00:aa:bb:01");
const MacAddress kNew = *MacAddress::parse("52:54:00:aa:bb:02");

}  // namespace

TEST(Fstab, device_names_become_uuids_and_the_rest_of_the_line_stays) {
    const DeviceNames names(two_volumes(), "/dev/sda1");
    const std::string text =
        "# /dev/sda1 was the root\n/dev/sda1\t/  ext4 errors=remount-ro 0 1\n/dev/sda2 none swap sw 0 0\n"
        "UUID=cccc /data ext4 defaults 0 2\n\ntmpfs /tmp tmpfs defaults";
    const auto edited = edit_fstab(text, names);
    EXPECT_EQ(edited.text,
              "# /dev/sda1 was the root\nUUID=aaaa-1\t/  ext4 errors=remount-ro 0 1\nUUID=bbbb-2 none swap sw 0 0\n"
              "UUID=cccc /data ext4 defaults 0 2\n\ntmpfs /tmp tmpfs defaults");
    EXPECT_THAT(edited.warnings, IsEmpty());
    EXPECT_EQ(edit_fstab(edited.text, names).text, edited.text);
}

TEST(Fstab, another_disk_is_left_alone_with_a_warning) {
    const DeviceNames names(two_volumes(), "/dev/sdb1");
    const auto edited = edit_fstab("/dev/sdb1 / ext4 x 0 1\n/dev/sda1 /old ext4 x 0 2\n", names);
    EXPECT_EQ(edited.text, "UUID=aaaa-1 / ext4 x 0 1\n/dev/sda1 /old ext4 x 0 2\n");
    ASSERT_EQ(edited.warnings.size(), 1u);
    EXPECT_THAT(edited.warnings[0], HasSubstr("/dev/sda1"));
}

TEST(Fstab, stable_names_stay) {
    const DeviceNames names(two_volumes(), "UUID=aaaa-1");
    for (const char* line : {"LABEL=root / ext4 x 0 1\n", "PARTUUID=0badcafe-01 / ext4 x 0 1\n",
                             "/dev/mapper/vg-root / ext4 x 0 1\n", "/dev/disk/by-uuid/aaaa-1 / ext4 x 0 1\n"}) {
        EXPECT_EQ(edit_fstab(line, names).text, line);
        EXPECT_THAT(edit_fstab(line, names).warnings, IsEmpty());
    }
}

TEST(DeviceNamesTest, old_naming_schemes_and_links_by_path_are_known) {
    for (const char* root : {"/dev/hda1", "/dev/nvme0n1p1", "/dev/cciss/c0d0p1", "/dev/xvda1",
                             "/dev/disk/by-path/pci-0000:00:1f.2-ata-1-part1"})
        EXPECT_EQ(DeviceNames(two_volumes(), root).stable_name(root), "UUID=aaaa-1") << root;
    // Nobody says what this disk was called: only the first disk of a scheme can be meant.
    const DeviceNames unknown(two_volumes(), "UUID=aaaa-1");
    EXPECT_EQ(unknown.stable_name("/dev/sda2"), "UUID=bbbb-2");
    EXPECT_EQ(unknown.stable_name("/dev/sdb2"), std::nullopt);
    EXPECT_EQ(unknown.stable_name("/dev/sda7"), std::nullopt);
}

TEST(DeviceNamesTest, fstab_specs_find_their_volume) {
    const DeviceNames names(two_volumes(), "/dev/sda1");
    for (const char* spec : {"UUID=AAAA-1", "UUID=\"aaaa-1\"", "LABEL=root", "PARTUUID=0badcafe-01",
                             "/dev/disk/by-uuid/aaaa-1", "/dev/sda1"}) {
        const auto* found = names.find(spec);
        ASSERT_NE(found, nullptr) << spec;
        EXPECT_EQ(found->index, 1u) << spec;
    }
    EXPECT_EQ(names.find("UUID=none"), nullptr);
    EXPECT_EQ(names.find("LABEL="), nullptr);
}

TEST(Crypttab, second_field_is_the_device) {
    const DeviceNames names(two_volumes(), "/dev/mapper/root");
    EXPECT_EQ(edit_crypttab("root /dev/sda1 none luks\n# swap /dev/sda2 x\n", names).text,
              "root UUID=aaaa-1 none luks\n# swap /dev/sda2 x\n");
}

TEST(CommandLines, root_and_resume_by_uuid_wherever_they_stand) {
    const DeviceNames names(two_volumes(), "UUID=aaaa-1");
    EXPECT_EQ(edit_command_lines("\tlinux\t/boot/vmlinuz root=/dev/sda1 ro quiet resume=/dev/sda2\n", names).text,
              "\tlinux\t/boot/vmlinuz root=UUID=aaaa-1 ro quiet resume=UUID=bbbb-2\n");
    EXPECT_EQ(edit_command_lines("RESUME=/dev/sda2\n", names).text, "RESUME=UUID=bbbb-2\n");
    EXPECT_EQ(edit_command_lines("GRUB_CMDLINE_LINUX=\"root=/dev/sda1 x\"\n", names).text,
              "GRUB_CMDLINE_LINUX=\"root=UUID=aaaa-1 x\"\n");
    const std::string untouched =
        "set root='hd0,msdos1'\n# root=/dev/sda1\nnotroot=/dev/sda1\nlinux x root=/dev/mapper/vg-root\n";
    EXPECT_EQ(edit_command_lines(untouched, names).text, untouched);
    EXPECT_EQ(edit_command_lines("linux x root=/dev/sdc1\n", names).warnings.size(), 1u);
}

TEST(CommandLines, grub_defaults_do_not_switch_uuids_off) {
    const DeviceNames names(two_volumes(), "");
    EXPECT_EQ(edit_grub_defaults("GRUB_DISABLE_LINUX_UUID=true\n#GRUB_DISABLE_LINUX_UUID=true\n", names).text,
              "GRUB_DISABLE_LINUX_UUID=false\n#GRUB_DISABLE_LINUX_UUID=true\n");
}

TEST(CommandLines, the_root_that_grub_gives_is_found) {
    EXPECT_EQ(root_argument("set root='hd0,1'\n  linux /vmlinuz root=UUID=aaaa-1 ro\n"), "UUID=aaaa-1");
    EXPECT_EQ(root_argument("set root='hd0,1'\n"), "");
}

TEST(CommandLines, what_grub_searches_for_is_found) {
    EXPECT_THAT(searched_uuids("search --no-floppy --fs-uuid --set=root --hint-bios=hd0,msdos1  aaaa-1\n"
                               "search.fs_uuid 1234-ABCD root hd0,gpt1\nsearch --file /x\n# search --fs-uuid b\n"),
                ElementsAre("aaaa-1", "1234-ABCD"));
}

TEST(Hostile, endless_lines_pass_through) {
    const DeviceNames names(two_volumes(), "UUID=aaaa-1");
    const std::string endless(4u << 20, 'a');
    for (const auto& text : {"root=/dev/" + endless, "/dev/disk/by-id/" + endless + "-part1 / ext4 x 0 1\n",
                             "NAME=\"" + endless + "\"", "iface " + endless + " inet", "Name=" + endless}) {
        EXPECT_EQ(edit_command_lines(text, names).text, text);
        EXPECT_EQ(edit_fstab(text, names).text, text);
        EXPECT_EQ(edit_grub_defaults(text, names).text, text);
        EXPECT_EQ(edit_persistent_rules(text, "eth0", kNew), text);
        EXPECT_THAT(root_argument(text), IsEmpty());
    }
}

TEST(VolumesTest, file_systems_are_known_by_their_magic) {
    Bytes ext(4096);
    ext[1024 + 0x38] = std::byte{0x53};
    ext[1024 + 0x39] = std::byte{0xef};
    ext[1024 + 0x3a] = std::byte{2};
    ext[1024 + 0x68] = std::byte{0xab};
    Volume volume;
    identify(ext, volume);
    EXPECT_EQ(volume.filesystem, "ext4");
    EXPECT_TRUE(volume.errors);
    EXPECT_EQ(volume.uuid, "ab000000-0000-0000-0000-000000000000");
    Volume swap;
    Bytes page(4096);
    std::copy_n(as_bytes("SWAPSPACE2").begin(), 10, page.begin() + 4086);
    identify(page, swap);
    EXPECT_EQ(swap.filesystem, "swap");
    Volume cut;
    identify(ByteView(ext).first(1024 + 0x39), cut);
    EXPECT_EQ(cut.filesystem, "");
}

TEST(Drivers, modules_are_added_once) {
    const std::string text = "# List of modules\nahci\nsd_mod # disks";
    const auto once = add_modules(text, {"ata_piix", "sd_mod", "ata_generic"});
    EXPECT_EQ(once, text + "\nata_piix\nata_generic\n");
    EXPECT_EQ(add_modules(once, {"ata_piix", "sd_mod", "ata_generic"}), once);
    EXPECT_EQ(add_modules("virtio-pci\n", {"virtio_pci"}), "virtio-pci\n");
}

TEST(Drivers, what_a_kernel_has_decides_what_the_initramfs_must_hold) {
    const auto kernel = parse_modules("kernel/drivers/ata/ata_piix.ko.xz: kernel/drivers/ata/libata.ko\n",
                                      "kernel/drivers/scsi/sd_mod.ko\n");
    const auto ide = needed_modules(drivers_of(TargetController::Ide), kernel);
    EXPECT_THAT(ide.in_initramfs, ElementsAre("ata_piix"));
    EXPECT_THAT(ide.missing, IsEmpty());
    EXPECT_THAT(needed_modules(drivers_of(TargetController::Nvme), kernel).missing, ElementsAre("nvme"));
}

TEST(Drivers, listings_of_both_tools_are_read) {
    const auto names = modules_in_listing(
        "usr/lib/modules/6.1/kernel/drivers/ata/ata-piix.ko\nbin/sh\n"
        "-rw-r--r-- 1 root root 99 Jan 1 usr/lib/modules/6/sd_mod.ko.zst\nx.kore\n");
    EXPECT_THAT(names, ElementsAre("ata_piix", "sd_mod"));
}

TEST(Drivers, policy_is_the_last_one_set) {
    EXPECT_EQ(modules_policy("# MODULES=x\nMODULES=most\nMODULES=\"dep\" # here\n"), "dep");
    EXPECT_EQ(modules_policy("BUSYBOX=y\n"), "");
}

TEST(Network, rules_keep_one_line_a_card) {
    const auto rules = persistent_rule("eth0", kOld) + persistent_rule("eth1", kNew) + "# comment\n";
    const auto edited = edit_persistent_rules(rules, "eth0", kNew);
    EXPECT_EQ(edited, persistent_rule("eth0", kNew) + "# comment\n");
    EXPECT_EQ(edit_persistent_rules(edited, "eth0", kNew), edited);
}

TEST(Network, hostile_names_are_refused) {
    for (const char* name : {"", "..", "a/b", "a b", "sixteen-letters-", "x\n"}) EXPECT_FALSE(valid_interface(name));
    EXPECT_TRUE(valid_interface("enp0s31f6"));
    EXPECT_TRUE(kernel_reserved("eth0"));
    EXPECT_FALSE(kernel_reserved("ens18"));
}

TEST(Proof, nonces_are_plain_words) {
    for (const char* bad : {"", "a b", "a'b", "a\nb", "ä"}) EXPECT_FALSE(valid_nonce(bad));
    EXPECT_FALSE(valid_nonce(std::string(65, 'a')));
    EXPECT_TRUE(valid_nonce("0f-A9"));
}

TEST(Request, adapters_are_parsed) {
    auto by_name = parse_nic("ens18=52:54:00:aa:bb:02");
    ASSERT_TRUE(by_name);
    EXPECT_EQ(by_name->old_name, "ens18");
    EXPECT_EQ(by_name->new_mac, kNew);
    auto by_mac = parse_nic("52:54:00:AA:BB:01=52-54-00-aa-bb-02");
    ASSERT_TRUE(by_mac);
    EXPECT_EQ(by_mac->old_mac, kOld);
    EXPECT_TRUE(by_mac->old_name.empty());
    for (const char* bad : {"ens18", "=52:54:00:aa:bb:02", "a/b=52:54:00:aa:bb:02", "ens18=01:00:00:00:00:00"})
        EXPECT_FALSE(parse_nic(bad)) << bad;
    EXPECT_EQ(parse_target("AHCI"), TargetController::Sata);
    EXPECT_EQ(name_of(TargetController::Sata), "sata");
    EXPECT_FALSE(parse_target("floppy"));
}
