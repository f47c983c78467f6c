// SPDX-License-Identifier: GPL-3.0-or-later
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/initramfs_tools.hpp"
#include "guest-fixup/text_lines.hpp"

using namespace slipway::fixup;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

namespace {

// The tool that a system with these files has.
std::string_view tool_of(const std::set<std::string>& files) {
    const auto* tool = find_initramfs_tool([&](const std::string& path) { return files.contains(path); });
    return tool ? tool->name : "none";
}

const InitramfsTool& tool(InitramfsKind kind) {
    for (const auto& row : initramfs_tools())
        if (row.kind == kind) return row;
    std::abort();
}

std::string made(InitramfsKind kind, MakeImage wanted) {
    std::string line;
    for (const auto& word : make_command(tool(kind), wanted)) line += (line.empty() ? "" : " ") + word;
    return line;
}

}  // namespace

TEST(InitramfsTools, each_family_is_known_by_its_files) {
    EXPECT_EQ(tool_of({"/usr/sbin/update-initramfs", "/etc/initramfs-tools/initramfs.conf"}), "initramfs-tools");
    EXPECT_EQ(tool_of({"/usr/bin/dracut"}), "dracut");
    EXPECT_EQ(tool_of({"/sbin/dracut", "/sbin/mkinitrd", "/etc/redhat-release"}), "dracut");
    EXPECT_EQ(tool_of({"/sbin/mkinitrd", "/etc/redhat-release"}), "Red Hat's mkinitrd");
    EXPECT_EQ(tool_of({"/sbin/mkinitrd", "/etc/SuSE-release"}), "SUSE's mkinitrd");
    EXPECT_EQ(tool_of({"/usr/bin/mkinitcpio", "/etc/mkinitcpio.conf"}), "mkinitcpio");
    EXPECT_EQ(tool_of({"/sbin/mkinitfs", "/etc/mkinitfs/mkinitfs.conf"}), "mkinitfs");
    EXPECT_EQ(tool_of({"/usr/bin/booster"}), "booster");
    EXPECT_EQ(tool_of({"/sbin/mkinitrd"}), "none");
}

TEST(InitramfsTools, debian_that_moved_to_dracut_is_not_taken_for_its_left_over_configuration) {
    EXPECT_EQ(tool_of({"/usr/bin/dracut", "/etc/initramfs-tools/initramfs.conf"}), "dracut");
    // A newer dracut package has an update-initramfs of its own.
    EXPECT_EQ(tool_of({"/usr/bin/dracut", "/usr/sbin/update-initramfs", "/etc/initramfs-tools/initramfs.conf"}),
              "dracut");
    EXPECT_EQ(tool_of({"/usr/bin/dracut", "/usr/sbin/update-initramfs", "/usr/sbin/mkinitramfs",
                       "/etc/initramfs-tools/initramfs.conf"}),
              "initramfs-tools");
}

TEST(InitramfsTools, images_have_the_names_of_their_distributions) {
    EXPECT_THAT(image_paths(tool(InitramfsKind::Dracut), "6.1", ""),
                ElementsAre("/boot/initramfs-6.1.img", "/boot/initrd.img-6.1", "/boot/initrd-6.1"));
    EXPECT_THAT(image_paths(tool(InitramfsKind::Mkinitcpio), "6.1-arch1", "linux-lts"),
                ElementsAre("/boot/initramfs-linux-lts.img", "/boot/initramfs-6.1-arch1.img"));
    EXPECT_THAT(image_paths(tool(InitramfsKind::Mkinitcpio), "6.1", ""), ElementsAre("/boot/initramfs-6.1.img"));
    EXPECT_EQ(flavour_of("6.6.31-0-lts"), "lts");
    EXPECT_EQ(flavour_of("6.1.0-41"), "");
    EXPECT_EQ(flavour_of("x-"), "");
}

TEST(InitramfsTools, old_dracut_is_not_given_options_it_does_not_know) {
    const MakeImage wanted{.version = "6.1", .image = "/boot/i"};
    EXPECT_EQ(made(InitramfsKind::Dracut, wanted), "dracut --force --no-hostonly /boot/i 6.1");
    auto old = wanted;
    old.program = "#!/bin/bash\nusage() { echo --force; }\n";
    EXPECT_EQ(made(InitramfsKind::Dracut, old), "dracut --force /boot/i 6.1");
    auto unified = wanted;
    unified.unified = true;
    EXPECT_EQ(made(InitramfsKind::Dracut, unified), "dracut --force --no-hostonly --uefi /boot/i 6.1");
}

TEST(InitramfsTools, each_is_told_the_kernel_and_the_image_in_its_own_way) {
    const MakeImage wanted{.version = "2.6",
                           .image = "/boot/initrd-2.6",
                           .modules = {"ata_piix", "sd_mod"},
                           .kernel = "/boot/vmlinuz-2.6",
                           .root = "/dev/disk/by-uuid/a"};
    EXPECT_EQ(made(InitramfsKind::InitramfsTools, wanted), "update-initramfs -u -k 2.6");
    EXPECT_EQ(made(InitramfsKind::SuseMkinitrd, wanted),
              "mkinitrd -k vmlinuz-2.6 -i initrd-2.6 -m ata_piix sd_mod -d /dev/disk/by-uuid/a");
    EXPECT_EQ(made(InitramfsKind::RedHatMkinitrd, wanted),
              "mkinitrd -f --with=ata_piix --with=sd_mod /boot/initrd-2.6 2.6");
    EXPECT_EQ(made(InitramfsKind::Mkinitcpio, wanted), "mkinitcpio -k 2.6 -g /boot/initrd-2.6 -S autodetect");
    EXPECT_EQ(made(InitramfsKind::Mkinitfs, wanted), "mkinitfs -o /boot/initrd-2.6 2.6");
    EXPECT_EQ(made(InitramfsKind::Booster, wanted),
              "booster build --force --universal --kernel-version 2.6 /boot/initrd-2.6");
}

TEST(InitramfsTools, an_image_without_a_lister_of_its_own_is_unpacked_by_its_magic) {
    using namespace std::string_view_literals;
    EXPECT_EQ(compression_of("\x1f\x8b\x08"sv)->program, "gzip");
    EXPECT_EQ(compression_of("\x28\xb5\x2f\xfd\x04"sv)->program, "zstd");
    EXPECT_EQ(compression_of("\xfd"
                             "7zXZ\0\0"sv)
                  ->program,
              "xz");
    EXPECT_EQ(compression_of("070701000"sv)->program, "");
    EXPECT_FALSE(compression_of("MZ"));
    EXPECT_FALSE(compression_of(""));
    EXPECT_THAT(list_command(tool(InitramfsKind::Mkinitfs), "/boot/i", *compression_of("\x1f\x8b"sv)),
                ElementsAre("/bin/sh", "-c", "gzip -dc \"$1\" | cpio -it", "sh", "/boot/i"));
    EXPECT_THAT(list_command(tool(InitramfsKind::Dracut), "/boot/i", {}), ElementsAre("lsinitrd", "/boot/i"));
}

TEST(InitramfsTools, presets_of_arch_say_where_the_images_are) {
    const auto plain = parse_mkinitcpio_preset(
        "# mkinitcpio preset file\nALL_kver=\"/boot/vmlinuz-linux\"\nPRESETS=('default' 'fallback')\n"
        "default_image=\"/boot/initramfs-linux.img\"\n#default_uki=\"/efi/EFI/Linux/arch-linux.efi\"\n"
        "fallback_image=\"/boot/initramfs-linux-fallback.img\"\nfallback_options=\"-S autodetect\"\n");
    EXPECT_EQ(plain.default_image, "/boot/initramfs-linux.img");
    EXPECT_EQ(plain.default_uki, "");
    EXPECT_EQ(plain.fallback_image, "/boot/initramfs-linux-fallback.img");
    EXPECT_EQ(parse_mkinitcpio_preset("default_uki='/efi/EFI/Linux/arch.efi'").default_uki, "/efi/EFI/Linux/arch.efi");
}

TEST(Lists, words_are_added_once_whatever_the_quotes) {
    const std::vector<std::string> two{"ata_piix", "sd_mod"};
    const auto twice = [&](std::string_view text, ListSyntax syntax) {
        const auto once = add_to_list(text, "MODULES", two, syntax);
        EXPECT_EQ(add_to_list(once, "MODULES", two, syntax), once);
        return once;
    };
    EXPECT_EQ(twice("# MODULES\nMODULES=()\nHOOKS=(base)\n", ListSyntax::Array),
              "# MODULES\nMODULES=(ata_piix sd_mod)\nHOOKS=(base)\n");
    EXPECT_EQ(twice("MODULES=(sd_mod) # mine\n", ListSyntax::Array), "MODULES=(sd_mod ata_piix) # mine\n");
    EXPECT_EQ(twice("MODULES=\"xfs\"\n", ListSyntax::Array), "MODULES=\"xfs ata_piix sd_mod\"\n");
    EXPECT_EQ(twice("MODULES=(\n  # disks\n  sd_mod\n)\n", ListSyntax::Array),
              "MODULES=(\n  # disks\n  sd_mod\n)\nMODULES+=(ata_piix)\n");
    // A comment hides what is behind it, the end of the list too; within quotes there are none.
    EXPECT_EQ(twice("MODULES=(xfs # root)\n  sd_mod)\n", ListSyntax::Array),
              "MODULES=(xfs # root)\n  sd_mod)\nMODULES+=(ata_piix)\n");
    EXPECT_EQ(twice("MODULES=(xfs # sd_mod)\n", ListSyntax::Array), "MODULES=(xfs # sd_mod)\n");
    EXPECT_EQ(twice("MODULES=\"a # sd_mod\"\n", ListSyntax::Quoted), "MODULES=\"a # sd_mod ata_piix\"\n");
    EXPECT_EQ(twice("x=1", ListSyntax::Quoted), "x=1\nMODULES=\"ata_piix sd_mod\"\n");
    EXPECT_EQ(twice("MODULES=xfs\n", ListSyntax::Quoted), "MODULES=xfs\nMODULES=\"$MODULES ata_piix sd_mod\"\n");
    EXPECT_EQ(twice("NOMODULES=(a)\nMODULES_X=(b)\n", ListSyntax::Array),
              "NOMODULES=(a)\nMODULES_X=(b)\nMODULES+=(ata_piix sd_mod)\n");
}

TEST(Mkinitfs, the_drivers_are_a_feature) {
    const auto once = add_mkinitfs_feature("features=\"ata base ext4\"\n");
    EXPECT_EQ(once, "features=\"ata base ext4 slipway\"\n");
    EXPECT_EQ(add_mkinitfs_feature(once), once);
    const auto paths = module_paths(
        "kernel/drivers/ata/ata_piix.ko.gz: kernel/drivers/ata/libata.ko.gz\nkernel/x.ko:\n", {"ata_piix"});
    EXPECT_EQ(mkinitfs_feature(paths), "kernel/drivers/ata/ata_piix.ko.gz\n");
}

TEST(Booster, modules_are_added_to_its_list) {
    EXPECT_EQ(add_booster_modules("network:\n  dhcp: on\nmodules: nvme, e1000\n", {"nvme", "sd_mod"}),
              "network:\n  dhcp: on\nmodules: nvme,e1000,sd_mod\n");
    EXPECT_EQ(add_booster_modules("", {"sd_mod"}), "modules: sd_mod\n");
    EXPECT_EQ(add_booster_modules("modules: sd_mod\n", {"sd_mod"}), "modules: sd_mod\n");
}

TEST(Dracut, a_needed_driver_is_not_left_out) {
    EXPECT_EQ(keep_omitted_drivers("omit_drivers+=\" nouveau virtio_blk virtio_blk_x \"\n", {"virtio_blk"}),
              "omit_drivers+=\" nouveau  virtio_blk_x \"\n");
    EXPECT_EQ(keep_omitted_drivers("add_drivers+=\" virtio_blk \"\n", {"virtio_blk"}),
              "add_drivers+=\" virtio_blk \"\n");
}

TEST(Dracut, a_generic_image_is_told_to_look_for_layers) {
    EXPECT_THAT(dracut_config({"sd_mod"}, false), Not(HasSubstr("rd.auto")));
    EXPECT_THAT(dracut_config({"sd_mod"}, true), HasSubstr("kernel_cmdline+=\" rd.auto=1 \""));
}
