// SPDX-License-Identifier: GPL-3.0-or-later
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/edits.hpp"
#include "guest-fixup/kernel_arguments.hpp"

using namespace slipway;
using namespace slipway::fixup;

namespace {

std::string with_serial(std::string_view text, LoaderSyntax syntax) {
    const auto edit = [&](std::string_view old) {
        return map_arguments(old, syntax,
                             [](auto arguments, bool whole) { return edit_consoles(arguments, true, whole); });
    };
    const auto once = edit(text);
    EXPECT_EQ(edit(once), once);
    return once;
}

}  // namespace

TEST(Arguments, are_found_in_every_loaders_file) {
    EXPECT_EQ(with_serial("\tlinux\t/vmlinuz root=UUID=a ro\n\tinitrd /i\n", LoaderSyntax::Grub2),
              "\tlinux\t/vmlinuz root=UUID=a ro console=tty0 console=ttyS0,115200n8\n\tinitrd /i\n");
    EXPECT_EQ(with_serial("multiboot /xen.gz console=vga\nmodule /vmlinuz-xen root=/dev/a\nmodule /initrd\n",
                          LoaderSyntax::Grub2),
              "multiboot /xen.gz console=vga\nmodule /vmlinuz-xen root=/dev/a console=tty0 console=ttyS0,115200n8\n"
              "module /initrd\n");
    EXPECT_EQ(with_serial("GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"\"\n", LoaderSyntax::Defaults),
              "GRUB_CMDLINE_LINUX_DEFAULT=\"quiet\"\nGRUB_CMDLINE_LINUX=\"console=tty0 console=ttyS0,115200n8\"\n");
    EXPECT_EQ(with_serial("# kopt=root=/dev/hda1 ro\nkernel\t/vmlinuz ro\nkernel /memtest86+.bin\n",
                          LoaderSyntax::GrubLegacy),
              "# kopt=root=/dev/hda1 ro console=tty0 console=ttyS0,115200n8\n"
              "kernel\t/vmlinuz ro console=tty0 console=ttyS0,115200n8\nkernel /memtest86+.bin\n");
    EXPECT_EQ(with_serial("title x\noptions    ro quiet\nlinux /v\n", LoaderSyntax::Entry),
              "title x\noptions    ro quiet console=tty0 console=ttyS0,115200n8\nlinux /v\n");
    EXPECT_EQ(with_serial("root=UUID=a ro\n", LoaderSyntax::CommandLine),
              "root=UUID=a ro console=tty0 console=ttyS0,115200n8\n");
    EXPECT_EQ(with_serial("label l0\n  kernel /v\n  append ro\n", LoaderSyntax::Extlinux),
              "label l0\n  kernel /v\n  append ro console=tty0 console=ttyS0,115200n8\n");
    std::string block = "# GRUB Environment Block\nkernelopts=root=UUID=a ro \n";
    block.resize(1024, '#');
    EXPECT_EQ(with_serial(block, LoaderSyntax::Environment).substr(0, 92),
              "# GRUB Environment Block\nkernelopts=root=UUID=a ro console=tty0 console=ttyS0,115200n8\n#####");
}

TEST(Arguments, of_debians_old_grub_and_grubs_environment_get_their_devices_by_uuid) {
    const DeviceNames names({{.index = 1, .filesystem = "ext3", .uuid = "aaaa"}}, "/dev/hda1");
    const auto edit = [&](std::string_view text, LoaderSyntax syntax) {
        return map_arguments(text, syntax,
                             [&](auto arguments, bool) { return edit_command_lines(arguments, names).text; });
    };
    EXPECT_EQ(
        edit("## ## Start Default Options ##\n# kopt=root=/dev/hda1 ro\n# groot=(hd0,0)\n", LoaderSyntax::GrubLegacy),
        "## ## Start Default Options ##\n# kopt=root=UUID=aaaa ro\n# groot=(hd0,0)\n");
    std::string block = "# GRUB Environment Block\nkernelopts=root=/dev/hda1 ro\n";
    block.resize(1024, '#');
    const auto edited = edit(block, LoaderSyntax::Environment);
    EXPECT_EQ(edited.size(), 1024u);
    EXPECT_TRUE(edited.starts_with("# GRUB Environment Block\nkernelopts=root=UUID=aaaa ro\n###")) << edited;
}

TEST(Consoles, of_xen_go_and_a_lone_second_serial_port_gets_the_screen) {
    EXPECT_EQ(edit_consoles("ro console=hvc0 quiet", false, true), "ro quiet");
    EXPECT_EQ(edit_consoles("console=xvc0,9600 console=tty0", false, false), "console=tty0");
    EXPECT_EQ(edit_consoles("ro console=ttyS1,115200", false, true), "ro console=ttyS1,115200 console=tty0");
    EXPECT_EQ(edit_consoles("console=ttyS1", false, false), "console=ttyS1");
    for (const char* stays : {"ro  quiet", "console=ttyS0", "console=tty0 console=ttyS1", ""})
        EXPECT_EQ(edit_consoles(stays, false, true), stays);
}

TEST(Consoles, the_serial_port_is_added_beside_the_screen_once) {
    EXPECT_EQ(edit_consoles("quiet console=tty0", true, true), "quiet console=tty0 console=ttyS0,115200n8");
    EXPECT_EQ(edit_consoles("console=ttyS0,9600 quiet", true, true), "console=ttyS0,9600 quiet");
    EXPECT_EQ(edit_consoles("quiet", true, false), "quiet");
}

TEST(Blacklists, on_the_command_line_lose_what_is_needed) {
    const std::vector<std::string> needed{"virtio_blk"};
    EXPECT_EQ(allow_modules("ro modprobe.blacklist=nouveau,virtio-blk quiet", needed),
              "ro modprobe.blacklist=nouveau quiet");
    EXPECT_EQ(allow_modules("ro rd.driver.blacklist=virtio_blk  quiet", needed), "ro quiet");
    EXPECT_EQ(allow_modules("ro  module_blacklist=x", needed), "ro  module_blacklist=x");
}

TEST(Inittab, gettys_of_lost_consoles_are_comments_and_the_serial_port_gets_one) {
    const std::string text =
        "id:3:initdefault:\n1:2345:respawn:/sbin/mingetty tty1\n"
        "co:2345:respawn:/sbin/agetty xvc0 9600 vt100-nav\n";
    const auto edited = edit_inittab(text, true, true);
    EXPECT_EQ(edited,
              "id:3:initdefault:\n1:2345:respawn:/sbin/mingetty tty1\n"
              "# slipway: co:2345:respawn:/sbin/agetty xvc0 9600 vt100-nav\n"
              "S0:2345:respawn:/sbin/agetty -L 115200 ttyS0 vt102\n");
    EXPECT_EQ(edit_inittab(edited, true, true), edited);
    EXPECT_EQ(edit_inittab("tty1::respawn:/sbin/getty 38400 tty1\n", true, false),
              "tty1::respawn:/sbin/getty 38400 tty1\nttyS0::respawn:/sbin/getty -L 115200 ttyS0 vt100\n");
    // systemd's is a comment.
    EXPECT_EQ(edit_inittab("# inittab is no longer used\n", true, true), "# inittab is no longer used\n");
    EXPECT_EQ(edit_inittab("T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n", true, false),
              "T0:23:respawn:/sbin/getty -L ttyS0 9600 vt100\n");
}

TEST(Securetty, lets_root_in_once) {
    EXPECT_EQ(edit_securetty("tty1\n"), "tty1\nttyS0\n");
    EXPECT_EQ(edit_securetty("ttyS0\ntty1"), "ttyS0\ntty1");
}
