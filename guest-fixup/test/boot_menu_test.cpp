// SPDX-License-Identifier: GPL-3.0-or-later
// Menus as the distributions' own tools write them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/boot_menu.hpp"
#include "guest-fixup/grub_environment.hpp"
#include "guest-fixup/kernel_choice.hpp"

using namespace slipway::fixup;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

namespace {

std::string environment(const std::string& lines) {
    std::string block = "# GRUB Environment Block\n" + lines;
    block.resize(1024, '#');
    return block;
}

// update-grub of Debian 12: the newest kernel, then all of them in a submenu.
std::string debian(const std::string& value) {
    return R"(### BEGIN /etc/grub.d/00_header ###
if [ -s $prefix/grubenv ]; then
  set have_grubenv=true
  load_env
fi
if [ "${next_entry}" ] ; then
   set default="${next_entry}"
   set next_entry=
   save_env next_entry
   set boot_once=true
else
   set default=")" +
           value + R"("
fi
function savedefault {
  if [ -z "${boot_once}" ]; then
    saved_entry="${chosen}"
  fi
}
menuentry 'Debian GNU/Linux' --class debian --class os $menuentry_id_option 'gnulinux-simple-aaaa' {
	load_video
	insmod part_msdos
	set root='hd0,msdos1'
	if [ x$feature_platform_search_hint = xy ]; then
	  search --no-floppy --fs-uuid --set=root --hint-bios=hd0,msdos1 aaaa
	fi
	linux	/boot/vmlinuz-6.1.0-41-cloud-amd64 root=UUID=aaaa ro  quiet
	initrd	/boot/initrd.img-6.1.0-41-cloud-amd64
}
submenu 'Advanced options for Debian GNU/Linux' $menuentry_id_option 'gnulinux-advanced-aaaa' {
	menuentry 'Debian GNU/Linux, with Linux 6.1.0-41-cloud-amd64' --class debian $menuentry_id_option 'gnulinux-6.1.0-41-cloud-amd64-advanced-aaaa' {
		linux	/boot/vmlinuz-6.1.0-41-cloud-amd64 root=UUID=aaaa ro  quiet
		initrd	/boot/initrd.img-6.1.0-41-cloud-amd64
	}
	menuentry 'Debian GNU/Linux, with Linux 6.1.0-40-amd64' --class debian $menuentry_id_option 'gnulinux-6.1.0-40-amd64-advanced-aaaa' {
		linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=aaaa ro  quiet
		initrd	/boot/initrd.img-6.1.0-40-amd64
	}
	menuentry 'Debian GNU/Linux, with Linux 6.1.0-40-amd64 (recovery mode)' $menuentry_id_option 'gnulinux-6.1.0-40-amd64-recovery-aaaa' {
		linux	/boot/vmlinuz-6.1.0-40-amd64 root=UUID=aaaa ro single
	}
	menuentry 'Debian GNU/Linux, with Xen hypervisor' $menuentry_id_option 'xen-gnulinux-aaaa' {
		multiboot2	/boot/xen-4.17-amd64.gz placeholder  ${xen_rm_opts}
		module2	/boot/vmlinuz-6.1.0-41-amd64 placeholder root=UUID=aaaa ro
		module2	--nounzip   /boot/initrd.img-6.1.0-41-amd64
	}
}
)";
}

const FitKernels kDebianKernels{{"6.1.0-41-cloud-amd64", false}, {"6.1.0-40-amd64", true}, {"6.1.0-41-amd64", true}};

std::string chosen(const BootMenu& menu) { return menu.chosen ? menu.entries[*menu.chosen].kernel : "none"; }

}  // namespace

TEST(Grub2, the_first_entry_starts_unless_the_default_says_otherwise) {
    EXPECT_EQ(chosen(read_grub2(debian("0"), "")), "/boot/vmlinuz-6.1.0-41-cloud-amd64");
    EXPECT_EQ(chosen(read_grub2(debian("1>1"), "")), "/boot/vmlinuz-6.1.0-40-amd64");
    EXPECT_EQ(chosen(read_grub2(debian("gnulinux-advanced-aaaa>gnulinux-6.1.0-40-amd64-advanced-aaaa"), "")),
              "/boot/vmlinuz-6.1.0-40-amd64");
    EXPECT_EQ(chosen(read_grub2(debian("Advanced options for Debian GNU/Linux>Debian GNU/Linux, with Linux "
                                       "6.1.0-40-amd64"),
                                "")),
              "/boot/vmlinuz-6.1.0-40-amd64");
    // A name that is no entry's starts the first.
    EXPECT_EQ(chosen(read_grub2(debian("gone"), "")), "/boot/vmlinuz-6.1.0-41-cloud-amd64");
    EXPECT_EQ(chosen(read_grub2("", "")), "none");
}

TEST(Grub2, saved_and_next_entries_are_those_of_the_environment) {
    const auto config = debian("${saved_entry}");
    EXPECT_TRUE(read_grub2(config, "").by_environment);
    EXPECT_EQ(chosen(read_grub2(config, environment("saved_entry=1>1\n"))), "/boot/vmlinuz-6.1.0-40-amd64");
    EXPECT_EQ(chosen(read_grub2(config, environment("saved_entry=0\nnext_entry=1>1\n"))),
              "/boot/vmlinuz-6.1.0-40-amd64");
    EXPECT_EQ(chosen(read_grub2(debian("0"), environment("next_entry=1>1\n"))), "/boot/vmlinuz-6.1.0-40-amd64");
}

TEST(Grub2, xen_is_seen_before_its_kernel) {
    const auto menu = read_grub2(debian("0"), "");
    ASSERT_EQ(menu.entries.size(), 5u);
    EXPECT_TRUE(menu.entries[4].xen);
    EXPECT_EQ(menu.entries[4].kernel, "/boot/vmlinuz-6.1.0-41-amd64");
    EXPECT_EQ(menu.entries[1].id, "gnulinux-advanced-aaaa>gnulinux-6.1.0-41-cloud-amd64-advanced-aaaa");
    EXPECT_EQ(menu.entries[2].initrd, "/boot/initrd.img-6.1.0-40-amd64");
}

TEST(KernelChoice, cloud_kernel_gives_way_to_the_newest_that_has_drivers_and_is_neither_xens_nor_recovery) {
    const auto menu = read_grub2(debian("0"), "");
    const auto choice = choose_entry(menu, kDebianKernels);
    ASSERT_TRUE(choice);
    EXPECT_EQ(menu.entries[choice->entry].id, "gnulinux-advanced-aaaa>gnulinux-6.1.0-40-amd64-advanced-aaaa");
    EXPECT_THAT(choice->why, HasSubstr("6.1.0-41-cloud-amd64"));
    const auto set = set_default_grub2(debian("0"), menu.entries[choice->entry].id);
    EXPECT_EQ(chosen(read_grub2(set, "")), "/boot/vmlinuz-6.1.0-40-amd64");
    EXPECT_THAT(set, HasSubstr("set default=\"${next_entry}\""));
    EXPECT_EQ(set_default_grub2(set, menu.entries[choice->entry].id), set);
    EXPECT_FALSE(choose_entry(read_grub2(set, ""), kDebianKernels));
}

TEST(KernelChoice, dom0_gives_way_to_the_kernel_alone) {
    const auto menu = read_grub2(debian("1>3"), "");
    EXPECT_TRUE(menu.entries[*menu.chosen].xen);
    const auto choice = choose_entry(menu, {{"6.1.0-41-amd64", true}, {"6.1.0-40-amd64", true}});
    ASSERT_TRUE(choice);
    EXPECT_EQ(menu.entries[choice->entry].kernel, "/boot/vmlinuz-6.1.0-40-amd64");
    // Nothing but Xen: it stays, since it runs.
    EXPECT_FALSE(choose_entry(menu, {{"6.1.0-41-amd64", true}}));
}

TEST(KernelChoice, a_kernel_nobody_knows_and_a_menu_without_linux_are_left_alone) {
    const auto menu = read_grub2(debian("0"), "");
    EXPECT_FALSE(choose_entry(menu, {{"6.1.0-40-amd64", true}}));
    EXPECT_FALSE(choose_entry(read_grub2("menuentry 'x' {\nchainloader +1\n}\n", ""), kDebianKernels));
    EXPECT_FALSE(choose_entry({}, kDebianKernels));
    EXPECT_THAT(nothing_to_choose(menu, {{"6.1.0-41-cloud-amd64", false}}), HasSubstr("cloud"));
    EXPECT_EQ(nothing_to_choose(menu, kDebianKernels), "");
}

TEST(KernelChoice, debug_kernels_come_last_but_before_nothing) {
    BootMenu menu{{{"a", "", "/vmlinuz-5-cloud", ""}, {"b", "", "/vmlinuz-6+debug", ""}, {"c", "", "/vmlinuz-4", ""}},
                  0};
    const auto entry = [&](const FitKernels& kernels) { return menu.entries[choose_entry(menu, kernels)->entry].id; };
    EXPECT_EQ(entry({{"5-cloud", false}, {"6+debug", true}, {"4", true}}), "c");
    EXPECT_EQ(entry({{"5-cloud", false}, {"6+debug", true}, {"4", false}}), "b");
}

TEST(GrubDefaults, a_saved_default_stays_saved) {
    EXPECT_EQ(set_default_grub_defaults("GRUB_DEFAULT=0\nX=1\n", "a>b"), "GRUB_DEFAULT=\"a>b\"\nX=1\n");
    EXPECT_EQ(set_default_grub_defaults("GRUB_DEFAULT=saved\n", "a"), "GRUB_DEFAULT=saved\n");
    EXPECT_EQ(set_default_grub_defaults("X=1", "a"), "X=1\nGRUB_DEFAULT=\"a\"\n");
}

TEST(GrubEnvironment, a_value_is_set_and_the_block_keeps_its_length) {
    const auto block = environment("saved_entry=a\\\\b\nkernelopts=root=/dev/sda1 ro\nboot_success=0\n");
    EXPECT_EQ(environment_value(block, "saved_entry"), "a\\b");
    EXPECT_EQ(environment_value(block, "saved"), std::nullopt);
    const auto set = set_environment(block, "saved_entry", "id-6.1");
    EXPECT_EQ(set.size(), 1024u);
    EXPECT_EQ(environment_value(set, "saved_entry"), "id-6.1");
    EXPECT_EQ(environment_value(set, "boot_success"), "0");
    EXPECT_EQ(set_environment(set, "saved_entry", "id-6.1"), set);
    EXPECT_EQ(environment_value(set_environment(set, "saved_entry", ""), "saved_entry"), std::nullopt);
    EXPECT_EQ(set_environment(block, "x", std::string(1024, 'y')), block);
    EXPECT_EQ(set_environment("no block", "x", "y"), "no block");
}

namespace {

const EntryFiles kFedora{
    {"4a00-0-rescue.conf", "title Fedora (0-rescue)\nversion 0-rescue-4a00\nlinux /vmlinuz-0-rescue-4a00\n"},
    {"4a00-6.8.5-301.fc40.x86_64.conf",
     "title Fedora Linux (6.8.5-301.fc40.x86_64) 40\nversion 6.8.5-301.fc40.x86_64\nlinux "
     "/vmlinuz-6.8.5-301.fc40.x86_64\ninitrd /initramfs-6.8.5-301.fc40.x86_64.img $tuned_initrd\noptions "
     "root=UUID=a\n"},
    {"4a00-6.10.3-200.fc40.x86_64.conf",
     "title Fedora Linux (6.10.3-200.fc40.x86_64) 40\nversion 6.10.3-200.fc40.x86_64\nlinux "
     "/vmlinuz-6.10.3-200.fc40.x86_64\n"},
    {"README", "linux /x\n"}};

}  // namespace

TEST(Entries, grub_takes_the_highest_version_unless_one_is_saved) {
    EXPECT_TRUE(grub2_reads_entries("insmod blscfg\nblscfg\n"));
    EXPECT_FALSE(grub2_reads_entries("# blscfg\ninsmod blscfg\n"));
    EXPECT_EQ(chosen(read_entries_for_grub(kFedora, "")), "/vmlinuz-6.10.3-200.fc40.x86_64");
    const auto saved = read_entries_for_grub(kFedora, environment("saved_entry=4a00-6.8.5-301.fc40.x86_64\n"));
    EXPECT_EQ(chosen(saved), "/vmlinuz-6.8.5-301.fc40.x86_64");
    EXPECT_EQ(saved.entries[*saved.chosen].initrd, "/initramfs-6.8.5-301.fc40.x86_64.img");
    EXPECT_EQ(saved.entries.size(), 3u);
}

TEST(Entries, systemd_boot_takes_its_default_by_pattern_and_spent_ones_last) {
    EntryFiles files{{"m-6.1+3.conf", "linux /m/6.1/linux\ninitrd /m/6.1/initrd.img-6.1\n"},
                     {"m-6.9+0-3.conf", "linux /m/6.9/linux\n"},
                     {"m-5.10.conf", "linux /m/5.10/linux\n"}};
    EXPECT_EQ(chosen(read_entries_for_systemd_boot(files, "timeout 3\n")), "/m/6.1/linux");
    EXPECT_EQ(chosen(read_entries_for_systemd_boot(files, "default m-5.*\n")), "/m/5.10/linux");
    EXPECT_EQ(chosen(read_entries_for_systemd_boot(files, "default m-5.10.conf\n")), "/m/5.10/linux");
    EXPECT_EQ(chosen(read_entries_for_systemd_boot(files, "default nothing*\n")), "/m/6.1/linux");
    const auto conf = set_default_loader_conf("timeout 3\ndefault @saved\n", "m-5.10");
    EXPECT_EQ(conf, "timeout 3\ndefault m-5.10.conf\n");
    EXPECT_EQ(set_default_loader_conf(conf, "m-5.10"), conf);
    EXPECT_EQ(set_default_loader_conf("", "a"), "default a.conf\n");
}

TEST(Entries, sort_keys_come_first_as_in_the_specification) {
    EntryFiles files{{"zz.conf", "linux /zz\n"},
                     {"a.conf", "sort-key debian\nversion 6.1\nlinux /old\n"},
                     {"b.conf", "sort-key debian\nversion 6.10\nlinux /new\n"}};
    const auto menu = read_entries_for_systemd_boot(files, "");
    EXPECT_EQ(menu.entries[0].kernel, "/new");
    EXPECT_EQ(menu.entries[2].kernel, "/zz");
}

TEST(GrubLegacy, default_is_a_number_and_saved_is_in_a_file) {
    const std::string config =
        "# grub.conf generated by anaconda\ndefault=1\ntimeout=5\nsplashimage=(hd0,0)/grub/splash.xpm.gz\n"
        "title CentOS (2.6.18-8.el5xen)\n\troot (hd0,0)\n\tkernel /xen.gz-2.6.18-8.el5\n"
        "\tmodule /vmlinuz-2.6.18-8.el5xen ro root=/dev/sda2\n\tmodule /initrd-2.6.18-8.el5xen.img\n"
        "title CentOS (2.6.18-8.el5)\n\troot (hd0,0)\n\tkernel /vmlinuz-2.6.18-8.el5 ro root=/dev/sda2\n"
        "\tinitrd /initrd-2.6.18-8.el5.img\n";
    auto menu = read_grub_legacy(config, "");
    EXPECT_EQ(chosen(menu), "/vmlinuz-2.6.18-8.el5");
    EXPECT_TRUE(menu.entries[0].xen);
    EXPECT_EQ(menu.entries[0].kernel, "/vmlinuz-2.6.18-8.el5xen");
    EXPECT_EQ(menu.entries[1].title, "CentOS (2.6.18-8.el5)");
    const auto set = set_default_grub_legacy(config, "0");
    EXPECT_TRUE(read_grub_legacy(set, "").entries[*read_grub_legacy(set, "").chosen].xen);
    EXPECT_EQ(set_default_grub_legacy(set, "0"), set);
    EXPECT_EQ(chosen(read_grub_legacy("default saved\n" + config.substr(config.find("title")), "1\n#\n#\n")),
              "/vmlinuz-2.6.18-8.el5");
}

TEST(Extlinux, default_ontimeout_and_menu_default) {
    const std::string labels =
        "LABEL l0\n\tMENU LABEL Debian 6.1\n\tLINUX ../vmlinuz-6.1\n\tAPPEND initrd=../initrd.img-6.1 root=/dev/sda1 "
        "ro\n"
        "label l1\n\tkernel /boot/vmlinuz-5\n\tinitrd /boot/i5\n";
    EXPECT_EQ(chosen(read_extlinux("DEFAULT l1\n" + labels)), "/boot/vmlinuz-5");
    EXPECT_EQ(chosen(read_extlinux("default menu.c32\nontimeout l1\n" + labels)), "/boot/vmlinuz-5");
    EXPECT_EQ(chosen(read_extlinux("default menu.c32\n" + labels + "\tmenu default\n")), "/boot/vmlinuz-5");
    EXPECT_EQ(chosen(read_extlinux(labels)), "../vmlinuz-6.1");
    EXPECT_EQ(read_extlinux(labels).entries[0].initrd, "../initrd.img-6.1");
    for (const auto& config : {"DEFAULT l1\n" + labels, "default menu.c32\nontimeout l1\n" + labels,
                               "default menu.c32\n" + labels + "\tmenu default\n", labels}) {
        const auto set = set_default_extlinux(config, "l0");
        EXPECT_EQ(chosen(read_extlinux(set)), "../vmlinuz-6.1") << set;
        EXPECT_EQ(set_default_extlinux(set, "l0"), set);
    }
}

TEST(Versions, are_compared_as_rpm_does) {
    for (const auto& [low, high] : {std::pair{"6.8.5-301", "6.10.3-200"},
                                    {"6.1~rc1", "6.1"},
                                    {"6.1.0-9", "6.1.0-41"},
                                    {"5.10", "5.10.1"},
                                    {"a", "1"},
                                    {"0-rescue", "2.6"}}) {
        EXPECT_LT(compare_versions(low, high), 0) << low;
        EXPECT_GT(compare_versions(high, low), 0) << low;
    }
    EXPECT_EQ(compare_versions("6.01", "6-1"), 0);
}

TEST(Versions, are_found_in_paths_of_every_loader) {
    EXPECT_EQ(version_in_path("($root)/boot/vmlinuz-6.1.0-41-amd64"), "6.1.0-41-amd64");
    EXPECT_EQ(version_in_path("/4a00/6.1.0-41-amd64/linux"), "6.1.0-41-amd64");
    EXPECT_EQ(version_in_path("/vmlinuz-lts"), "lts");
    EXPECT_EQ(version_in_path("/linux"), "linux");
    EXPECT_EQ(version_in_path("/vmlinuz"), "vmlinuz");
    EXPECT_EQ(version_in_path(""), "");
}
