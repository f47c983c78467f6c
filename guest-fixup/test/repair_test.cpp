// SPDX-License-Identifier: GPL-3.0-or-later
// Whole repairs of a small guest whose tools are busybox scripts.
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/fixup.hpp"
#include "guest-fixup/test/fake_root.hpp"
#include "lib/base/fd.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
namespace fs = std::filesystem;

namespace {

constexpr const char* kInitrd = "/boot/initrd.img-6.1";
constexpr const char* kModules = "/etc/initramfs-tools/modules";

class RepairTest : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: chroot and namespaces";
        if (!fs::exists("/bin/busybox")) GTEST_SKIP() << "busybox-static is not installed";
        for (const char* name : {"proc", "sys", "dev", "tmp", "run", "bin", "usr/bin", "usr/sbin"})
            fs::create_directories(guest.path() / name);
        fs::copy_file("/bin/busybox", guest.path() / "bin/busybox");
        for (const char* applet : {"bin/sh", "bin/cat", "bin/cp", "bin/sleep", "bin/mount", "bin/mknod", "bin/ls",
                                   "bin/ps", "bin/grep", "bin/sed", "usr/bin/env"})
            fs::create_symlink("/bin/busybox", guest.path() / applet);
        guest.put("/etc/os-release", "PRETTY_NAME=\"Fake 1\"\n");
        guest.put("/etc/fstab", "UUID=aaaa / ext4 defaults 0 1\n");
        guest.put("/etc/initramfs-tools/initramfs.conf", "MODULES=list\n");
        guest.put(kModules, "ahci\n");
        guest.put("/lib/modules/6.1/modules.dep",
                  "k/ata_piix.ko:\nk/sd_mod.ko:\nk/virtio_pci.ko:\nk/virtio_blk.ko:\nk/ahci.ko:\n");
        guest.put("/lib/systemd/systemd", "");
        fs::create_directories(guest.path() / "lib/systemd/network");
        guest.put("/boot/grub/grub.cfg", "linux /vmlinuz root=UUID=aaaa ro\n");
        guest.put("/boot/grub/device.map", "(hd0) /dev/sda\n");
        guest.put(kInitrd, "k/ahci.ko\n");
        script("/usr/sbin/update-initramfs",
               "sed 's,^,k/,;s,$,.ko,' /etc/initramfs-tools/modules >/boot/new; busybox mv /boot/new "
               "/boot/initrd.img-$3\n");
        script("/usr/bin/lsinitramfs", "cat \"$1\"\n");
        request.root = guest.path();
        request.target = TargetController::Ide;
    }
    void script(const std::string& path, const std::string& body) {
        guest.put(path, "#!/bin/sh\n" + body);
        fs::permissions(guest.path() / path.substr(1), fs::perms(0755));
    }
    RepairReport repaired() {
        auto report = repair(request);
        EXPECT_TRUE(report.ok()) << (report.ok() ? "" : report.error().explain());
        return report.ok() ? *std::move(report) : RepairReport{};
    }

    test::FakeRoot guest;
    RepairRequest request;
};

}  // namespace

TEST_F(RepairTest, makes_the_initramfs_fit_and_finds_nothing_to_do_the_second_time) {
    request.nics = {*parse_nic("ens18=52:54:00:00:00:02")};
    request.proof_nonce = "n1";
    const auto first = repaired();
    EXPECT_EQ(first.distribution, "Fake 1");
    EXPECT_THAT(first.kernels, ElementsAre("6.1"));
    EXPECT_EQ(guest.get(kInitrd), "k/ahci.ko\nk/ata_piix.ko\nk/sd_mod.ko\n");
    EXPECT_THAT(guest.get("/etc/systemd/network/10-slipway-ens18.link"), HasSubstr("Name=ens18"));
    EXPECT_FALSE(guest.has("/boot/grub/device.map"));
    EXPECT_TRUE(guest.has("/etc/systemd/system/multi-user.target.wants/slipway-proof.service"));
    EXPECT_TRUE(guest.has("/etc/systemd/system/emergency.target.wants/slipway-proof-refused.service"));
    EXPECT_TRUE(guest.has("/etc/systemd/system/rescue.target.wants/slipway-proof-refused.service"));
    EXPECT_THAT(guest.get("/var/lib/slipway/repair.json"), HasSubstr("52:54:00:00:00:02"));
    const auto before = guest.everything();
    EXPECT_THAT(repaired().journal, IsEmpty());
    EXPECT_EQ(guest.everything(), before);
}

TEST_F(RepairTest, cancelled_repair_ends_the_guests_tool_and_puts_the_old_initramfs_back) {
    script("/usr/sbin/update-initramfs",
           "echo broken >/boot/new; busybox mv /boot/new /boot/initrd.img-$3; echo x >/boot/begun; sleep 600\n");
    const auto fifo = guest.path() / "boot/begun";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    UniqueFd event(::eventfd(0, EFD_CLOEXEC));
    request.cancel_fd = event.get();
    std::thread canceller([&] {
        (void)read_text_file(fifo).ok();  // comes back once the tool has written, and so runs
        ::eventfd_write(event.get(), 1);
    });
    const auto report = repair(request);
    canceller.join();
    ASSERT_FALSE(report.ok());
    EXPECT_EQ(report.error().describe(),
              "interrupted: what was changed is taken back, all is as it was [fixup.cancelled]");
    EXPECT_EQ(guest.get(kInitrd), "k/ahci.ko\n");
}

TEST_F(RepairTest, cancelled_repair_that_cannot_be_taken_back_does_not_say_that_it_was) {
    script("/usr/sbin/update-initramfs",
           "trap '' PIPE; echo broken >/boot/initrd.img-$3; echo x >/boot/begun; sleep 600\n");
    const auto fifo = guest.path() / "boot/begun";
    ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
    UniqueFd event(::eventfd(0, EFD_CLOEXEC));
    request.cancel_fd = event.get();
    std::thread canceller([&] {
        (void)read_text_file(fifo).ok();
        fs::remove_all(guest.path() / "var/lib/slipway/repair/kept");
        ::eventfd_write(event.get(), 1);
    });
    const auto report = repair(request);
    canceller.join();
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(fixup::errors::kNotTakenBack)) << report.error().describe();
    EXPECT_THAT(report.error().explain(), Not(HasSubstr("as it was")));
}

TEST_F(RepairTest, dry_run_says_the_same_and_changes_nothing) {
    request.proof_nonce = "n1";
    request.dry_run = true;
    const auto before = guest.everything();
    const auto dry = repaired();
    EXPECT_EQ(guest.everything(), before);
    request.dry_run = false;
    const auto wet = repaired();
    ASSERT_EQ(dry.journal.size(), wet.journal.size());
    for (std::size_t i = 0; i < wet.journal.size(); ++i) EXPECT_EQ(dry.journal[i].where, wet.journal[i].where);
}

TEST_F(RepairTest, another_target_later_is_added) {
    repaired();
    request.target = TargetController::VirtioBlk;
    repaired();
    EXPECT_THAT(guest.get(kInitrd), AllOf(HasSubstr("virtio_blk"), HasSubstr("ata_piix")));
    EXPECT_THAT(guest.get("/var/lib/slipway/repair.json"), AllOf(HasSubstr("virtio_blk"), HasSubstr("ata_piix")));
}

TEST_F(RepairTest, old_initramfs_is_back_when_its_making_fails) {
    script("/usr/sbin/update-initramfs",
           "echo half >/boot/new; busybox mv /boot/new /boot/initrd.img-6.1; echo no space left >&2; exit 1\n");
    const auto report = repair(request);
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(fixup::errors::kInitramfs)) << report.error().explain();
    EXPECT_THAT(report.error().describe(), HasSubstr("no space left"));
    EXPECT_EQ(guest.get(kInitrd), "k/ahci.ko\n");
}

TEST_F(RepairTest, old_initramfs_is_back_when_the_new_one_lacks_a_driver) {
    script("/usr/sbin/update-initramfs", "cp /etc/os-release /boot/new; busybox mv /boot/new /boot/initrd.img-6.1\n");
    const auto report = repair(request);
    ASSERT_FALSE(report.ok());
    EXPECT_THAT(report.error().describe(), HasSubstr("lacks ata_piix, sd_mod"));
    EXPECT_EQ(guest.get(kInitrd), "k/ahci.ko\n");
    for (const auto& entry : fs::directory_iterator(guest.path() / "boot"))
        EXPECT_THAT(entry.path().filename().string(), Not(HasSubstr("slipway")));
}

TEST_F(RepairTest, guest_links_lead_nowhere_outside) {
    test::FakeRoot outside;
    outside.put("/victim", "precious\n");
    fs::remove(guest.path() / std::string(kModules).substr(1));
    fs::create_symlink(outside.path() / "victim", guest.path() / std::string(kModules).substr(1));
    fs::create_directory_symlink(outside.path(), guest.path() / "var");
    request.proof_nonce = "n1";
    (void)repair(request);
    EXPECT_EQ(outside.everything(), (std::map<std::string, std::string>{{"/victim", "precious\n"}}));
}

TEST_F(RepairTest, tools_run_without_network_devices_or_capabilities_and_leave_no_process) {
    script("/usr/sbin/update-initramfs",
           "sed 's,^,k/,;s,$,.ko,' /etc/initramfs-tools/modules >/boot/initrd.img-6.1\n"
           "grep -c : /proc/net/dev >/seen-nics; cat /proc/$$/comm >/seen-first; ls -d /proc/[0-9]* >/seen-processes\n"
           "mount -t tmpfs x /tmp 2>/dev/null && echo yes >/seen-mount\n"
           "mknod /dev/x b 8 0 2>/dev/null && echo yes >/seen-node\n"
           "ls /dev >/seen-dev\n"
           "sleep 3000 &\n");
    const auto started = std::chrono::steady_clock::now();
    repaired();
    EXPECT_LT(std::chrono::steady_clock::now() - started, std::chrono::seconds(60));
    EXPECT_EQ(guest.get("/seen-nics"), "1\n");
    EXPECT_THAT(guest.get("/seen-first"), HasSubstr("update-initramf"));
    EXPECT_THAT(guest.get("/seen-processes"), Not(HasSubstr("/proc/" + std::to_string(::getpid()) + "\n")));
    EXPECT_FALSE(guest.has("/seen-mount"));
    EXPECT_FALSE(guest.has("/seen-node"));
    EXPECT_THAT(guest.get("/seen-dev"), AllOf(HasSubstr("null"), Not(HasSubstr("loop")), Not(HasSubstr("mem"))));
}

TEST_F(RepairTest, kernel_without_the_driver_is_refused_before_anything_changes) {
    request.target = TargetController::Nvme;
    const auto before = guest.everything();
    const auto report = repair(request);
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(fixup::errors::kNoDriver));
    EXPECT_THAT(report.error().message(), HasSubstr("nvme"));
    EXPECT_EQ(guest.everything(), before);
}

TEST_F(RepairTest, system_of_another_kind_is_refused) {
    fs::remove(guest.path() / "etc/initramfs-tools/initramfs.conf");
    const auto report = repair(request);
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(fixup::errors::kDistribution));
}

TEST_F(RepairTest, dracut_system_gets_a_generic_initramfs) {
    fs::remove_all(guest.path() / "etc/initramfs-tools");
    fs::remove(guest.path() / std::string(kInitrd).substr(1));
    guest.put("/boot/initramfs-6.1.img", "k/ahci.ko\n");
    script("/usr/bin/dracut",
           "[ \"$2\" = --no-hostonly ] || exit 9\n"
           "for m in $(sed -n 's/add_drivers+=\"\\(.*\\)\"/\\1/p' /etc/dracut.conf.d/90-slipway.conf)\n"
           "do echo \"-rw-r--r-- 1 root root 9 Jan 1 k/$m.ko.xz\"; done >\"$3\"\n");
    script("/usr/bin/lsinitrd", "cat \"$1\"\n");
    const auto report = repaired();
    EXPECT_THAT(report.kernels, ElementsAre("6.1"));
    EXPECT_THAT(guest.get("/boot/initramfs-6.1.img"), HasSubstr("ata_piix"));
    EXPECT_THAT(repaired().journal, IsEmpty());
}

TEST_F(RepairTest, dracut_is_told_to_look_for_layers_when_no_command_line_does) {
    fs::remove_all(guest.path() / "etc/initramfs-tools");
    guest.put("/etc/fstab", "/dev/mapper/vg-root / ext4 defaults 0 1\n");
    script("/usr/bin/dracut",
           "# --no-hostonly\n"
           "for m in $(sed -n 's/add_drivers+=\"\\(.*\\)\"/\\1/p' /etc/dracut.conf.d/90-slipway.conf)\n"
           "do echo \"k/$m.ko\"; done >\"$3\"\n");
    script("/usr/bin/lsinitrd", "cat \"$1\"\n");
    repaired();
    EXPECT_THAT(guest.get("/etc/dracut.conf.d/90-slipway.conf"), HasSubstr("rd.auto=1"));
    EXPECT_THAT(repaired().journal, IsEmpty());
    guest.put("/boot/grub/grub.cfg", "linux /vmlinuz root=/dev/mapper/vg-root rd.lvm.lv=vg/root\n");
    repaired();
    EXPECT_THAT(guest.get("/etc/dracut.conf.d/90-slipway.conf"), Not(HasSubstr("rd.auto")));
}

TEST_F(RepairTest, arch_gets_its_modules_list_and_its_preset_says_where_the_image_is) {
    fs::remove_all(guest.path() / "etc/initramfs-tools");
    guest.put("/etc/mkinitcpio.conf", "MODULES=(ext4)\nHOOKS=(base udev autodetect block)\n");
    guest.put("/etc/mkinitcpio.d/linux.preset", "default_image=\"/boot/initramfs-linux.img\"\n");
    guest.put("/lib/modules/6.1/pkgbase", "linux\n");
    guest.put("/boot/initramfs-linux.img", "k/ahci.ko\n");
    script("/usr/bin/mkinitcpio",
           "[ \"$5 $6\" = '-S autodetect' ] || exit 9\n"
           "for m in $(sed -n 's/MODULES=(\\(.*\\))/\\1/p' /etc/mkinitcpio.conf); do echo k/$m.ko.zst; done >\"$4\"\n");
    script("/usr/bin/lsinitcpio", "cat \"$1\"\n");
    EXPECT_THAT(repaired().kernels, ElementsAre("6.1"));
    EXPECT_EQ(guest.get("/etc/mkinitcpio.conf"),
              "MODULES=(ext4 ata_piix sd_mod)\nHOOKS=(base udev autodetect block)\n");
    EXPECT_THAT(guest.get("/boot/initramfs-linux.img"), HasSubstr("ata_piix"));
    EXPECT_THAT(repaired().journal, IsEmpty());
}

TEST_F(RepairTest, alpine_gets_a_feature_and_its_image_is_listed_by_cpio) {
    for (const char* applet : {"bin/cpio", "bin/gzip", "bin/find", "bin/mkdir", "bin/tr"})
        fs::create_symlink("/bin/busybox", guest.path() / applet);
    fs::remove_all(guest.path() / "etc/initramfs-tools");
    fs::rename(guest.path() / "lib/modules/6.1", guest.path() / "lib/modules/6.6.31-0-lts");
    guest.put("/etc/mkinitfs/mkinitfs.conf", "features=\"ata base\"\n");
    guest.put("/boot/initramfs-lts", "old");
    script("/sbin/mkinitfs",
           "cd /tmp && mkdir k && for f in $(cat /etc/mkinitfs/features.d/slipway.modules); do echo >$f; done\n"
           "find . | cpio -o -H newc | gzip >\"$2\"\n");
    EXPECT_THAT(repaired().kernels, ElementsAre("6.6.31-0-lts"));
    EXPECT_EQ(guest.get("/etc/mkinitfs/mkinitfs.conf"), "features=\"ata base slipway\"\n");
    EXPECT_EQ(guest.get("/etc/mkinitfs/features.d/slipway.modules"), "k/ata_piix.ko\nk/sd_mod.ko\n");
    EXPECT_THAT(repaired().journal, IsEmpty());
}

TEST_F(RepairTest, missing_decompressor_is_named) {
    script("/usr/sbin/update-initramfs",
           "printf '\\050\\265\\057\\375x' >/boot/new; busybox mv /boot/new /boot/initrd.img-6.1\n");
    const auto report = repair(request);
    ASSERT_FALSE(report.ok());
    EXPECT_THAT(report.error().describe(), HasSubstr("compressed by zstd, and the guest has no program `zstd`"));
    EXPECT_EQ(guest.get(kInitrd), "k/ahci.ko\n");
}

TEST_F(RepairTest, old_machines_disks_are_forgotten_by_md_and_lvm) {
    guest.put("/etc/mdadm/mdadm.conf", "DEVICE /dev/sda1\n");
    guest.put("/etc/lvm/devices/system.devices", "IDTYPE=sys_wwid IDNAME=naa.5 DEVNAME=/dev/sda2 PVID=x\n");
    guest.put("/etc/lvm/cache/.cache", "x");
    guest.put("/etc/smartd.conf", "/dev/sda -a\n");
    guest.put("/etc/modprobe.d/local.conf", "blacklist ata_piix\n");
    const auto report = repaired();
    EXPECT_THAT(report.warnings, AllOf(Contains(HasSubstr("/etc/smartd.conf")), Contains(HasSubstr("kept ata_piix"))));
    EXPECT_EQ(guest.get("/etc/mdadm/mdadm.conf"), "DEVICE partitions\n");
    EXPECT_FALSE(guest.has("/etc/lvm/devices/system.devices"));
    EXPECT_THAT(guest.get("/etc/lvm/devices/system.devices.slipway-old"), HasSubstr("naa.5"));
    EXPECT_FALSE(guest.has("/etc/lvm/cache/.cache"));
    EXPECT_EQ(guest.get("/etc/modprobe.d/local.conf"), "# slipway: blacklist ata_piix\n");
    EXPECT_THAT(repaired().journal, IsEmpty());
}

TEST_F(RepairTest, loader_starts_a_kernel_that_has_the_drivers) {
    guest.put("/lib/modules/6.2-cloud/modules.dep", "k/virtio_blk.ko:\n");
    guest.put("/boot/initrd.img-6.2-cloud", "");
    guest.put("/boot/vmlinuz-5.0-gone", "");
    guest.put("/boot/grub/grub.cfg",
              "set default=\"0\"\nmenuentry 'new' {\nlinux /boot/vmlinuz-6.2-cloud root=UUID=aaaa\n}\n"
              "menuentry 'old' --id 'old-id' {\nlinux /boot/vmlinuz-6.1 root=UUID=aaaa\n}\n");
    guest.put("/etc/default/grub", "GRUB_DEFAULT=0\n");
    EXPECT_THAT(repaired().warnings,
                AllOf(Contains(HasSubstr("starts 6.1 by itself now: kernel 6.2-cloud cannot find")),
                      Contains(HasSubstr("/boot/vmlinuz-5.0-gone has no modules"))));
    EXPECT_THAT(guest.get("/boot/grub/grub.cfg"), HasSubstr("set default=\"old-id\"\n"));
    EXPECT_EQ(guest.get("/etc/default/grub"), "GRUB_DEFAULT=\"old-id\"\n");
    EXPECT_THAT(repaired().journal, IsEmpty());
}

TEST_F(RepairTest, grub_with_entry_files_gets_its_default_in_the_environment) {
    guest.put("/lib/modules/6.2-cloud/modules.dep", "");
    guest.put("/boot/grub/grub.cfg", "set default=\"${saved_entry}\"\nblscfg\n");
    auto block = std::string("# GRUB Environment Block\nsaved_entry=m-6.2-cloud\n");
    block.resize(1024, '#');
    guest.put("/boot/grub/grubenv", block);
    guest.put("/boot/loader/entries/m-6.2-cloud.conf", "linux /vmlinuz-6.2-cloud\noptions root=UUID=aaaa\n");
    guest.put("/boot/loader/entries/m-6.1.conf", "linux /vmlinuz-6.1\noptions root=UUID=aaaa\n");
    repaired();
    EXPECT_THAT(guest.get("/boot/grub/grubenv"), HasSubstr("saved_entry=m-6.1\n###"));
    EXPECT_EQ(guest.get("/boot/grub/grubenv").size(), 1024u);
    EXPECT_THAT(repaired().journal, IsEmpty());
}

TEST_F(RepairTest, systemd_boot_gets_the_new_image_that_it_reads) {
    fs::remove_all(guest.path() / "boot/grub");
    guest.put("/boot/efi/loader/loader.conf", "timeout 3\n");
    guest.put("/boot/efi/loader/entries/m-6.1.conf", "linux /m/6.1/linux\ninitrd /m/6.1/initrd.img-6.1\noptions x\n");
    guest.put("/boot/efi/m/6.1/linux", "kernel");
    guest.put("/boot/efi/m/6.1/initrd.img-6.1", "k/ahci.ko\n");
    request.dry_run = true;
    EXPECT_THAT(repaired().journal, Contains(Field(&Change::where, "/boot/efi/m/6.1/initrd.img-6.1")));
    request.dry_run = false;
    repaired();
    EXPECT_EQ(guest.get("/boot/efi/m/6.1/initrd.img-6.1"), guest.get(kInitrd));
    EXPECT_THAT(guest.get(kInitrd), HasSubstr("ata_piix"));
    EXPECT_THAT(repaired().journal, IsEmpty());
}

TEST_F(RepairTest, image_that_only_an_entry_knows_is_made_where_it_is) {
    fs::remove_all(guest.path() / "etc/initramfs-tools");
    fs::remove_all(guest.path() / "boot/grub");
    fs::remove(guest.path() / std::string(kInitrd).substr(1));
    guest.put("/efi/loader/entries/m-6.1.conf", "linux /m/6.1/linux\ninitrd /m/6.1/initrd\noptions root=UUID=aaaa\n");
    guest.put("/efi/m/6.1/linux", "kernel");
    guest.put("/efi/m/6.1/initrd", "k/ahci.ko\n");
    // With a hook that writes the entry with the command line of the kernel that runs now.
    script("/usr/bin/dracut",
           "for m in $(sed -n 's/add_drivers+=\"\\(.*\\)\"/\\1/p' /etc/dracut.conf.d/90-slipway.conf)\n"
           "do echo \"k/$m.ko\"; done >/efi/new; busybox mv /efi/new \"$2\"\n"
           "echo options root=/dev/loop0 >/efi/loader/entries/m-6.1.conf\n");
    script("/usr/bin/lsinitrd", "cat \"$1\"\n");
    EXPECT_THAT(repaired().kernels, ElementsAre("6.1"));
    EXPECT_THAT(guest.get("/efi/m/6.1/initrd"), HasSubstr("ata_piix"));
    EXPECT_THAT(guest.get("/efi/loader/entries/m-6.1.conf"), HasSubstr("options root=UUID=aaaa"));
    EXPECT_THAT(repaired().journal, IsEmpty());
}

TEST_F(RepairTest, serial_console_is_added_only_when_asked_for) {
    guest.put("/etc/default/grub", "GRUB_CMDLINE_LINUX=\"\"\n");
    guest.put("/etc/inittab", "1:2345:respawn:/sbin/getty 38400 tty1\n");
    guest.put("/etc/securetty", "tty1\n");
    repaired();
    EXPECT_EQ(guest.get("/etc/default/grub"), "GRUB_CMDLINE_LINUX=\"\"\n");
    request.serial_console = true;
    repaired();
    EXPECT_EQ(guest.get("/etc/default/grub"), "GRUB_CMDLINE_LINUX=\"console=tty0 console=ttyS0,115200n8\"\n");
    EXPECT_THAT(guest.get("/boot/grub/grub.cfg"), HasSubstr("root=UUID=aaaa ro console=tty0 console=ttyS0,115200n8"));
    EXPECT_THAT(guest.get("/etc/inittab"), HasSubstr("S0:2345:respawn"));
    EXPECT_EQ(guest.get("/etc/securetty"), "tty1\nttyS0\n");
    EXPECT_THAT(repaired().journal, IsEmpty());
}

TEST_F(RepairTest, lilo_is_refused_before_anything_changes) {
    fs::remove_all(guest.path() / "boot/grub");
    guest.put("/etc/lilo.conf", "boot=/dev/sda\n");
    const auto before = guest.everything();
    const auto report = repair(request);
    ASSERT_FALSE(report.ok());
    EXPECT_TRUE(report.error().is(fixup::errors::kLilo));
    EXPECT_EQ(guest.everything(), before);
}

TEST_F(RepairTest, new_files_get_a_label_and_the_rest_is_labelled_at_the_first_boot) {
    const auto label = [&](const std::string& path, const char* type) {
        return ::lsetxattr((guest.path() / path).c_str(), "security.selinux", type, std::string(type).size(), 0) == 0;
    };
    const auto labelled = [&](const std::string& path) {
        char value[64];
        const auto size = ::lgetxattr((guest.path() / path).c_str(), "security.selinux", value, sizeof value);
        return size > 0 ? std::string(value, static_cast<std::size_t>(size)) : "none";
    };
    guest.put("/etc/selinux/config", "SELINUX=enforcing\nSELINUXTYPE=targeted\n");
    if (!label("etc", "etc_t")) GTEST_SKIP() << "this file system keeps no labels";
    ASSERT_TRUE(label("boot", "boot_t") && label("boot/grub", "boot_t") && label("boot/grub/grub.cfg", "boot_t"));
    ASSERT_TRUE(label("etc/initramfs-tools", "etc_t") && label("etc/initramfs-tools/modules", "etc_t"));
    auto report = repaired();
    EXPECT_EQ(labelled("boot/initrd.img-6.1"), "boot_t");
    EXPECT_FALSE(guest.has("/.autorelabel"));
    // Beside what has no label itself there is none to be had.
    request.target = TargetController::VirtioBlk;
    ::lremovexattr((guest.path() / "boot").c_str(), "security.selinux");
    report = repaired();
    EXPECT_TRUE(guest.has("/.autorelabel"));
    EXPECT_THAT(report.warnings, Contains(HasSubstr("/boot/initrd.img-6.1 got no SELinux label")));
    EXPECT_THAT(repaired().journal, IsEmpty());
}

TEST_F(RepairTest, policy_that_looks_at_this_machine_is_set_to_most) {
    guest.put("/etc/initramfs-tools/conf.d/driver-policy", "MODULES=dep\n");
    EXPECT_THAT(repaired().warnings, Contains(HasSubstr("MODULES=dep")));
    EXPECT_EQ(guest.get("/etc/initramfs-tools/conf.d/zz-slipway"), "MODULES=most\n");
    EXPECT_THAT(repaired().journal, IsEmpty());
}

TEST_F(RepairTest, adapter_known_by_its_old_address_keeps_its_name) {
    guest.put("/etc/udev/rules.d/70-persistent-net.rules",
              "SUBSYSTEM==\"net\", ATTR{address}==\"52:54:00:00:00:01\", NAME=\"eth0\"\n");
    guest.put("/etc/sysconfig/network-scripts/ifcfg-eth0", "DEVICE=eth0\nHWADDR=52:54:00:00:00:01\n");
    request.nics = {*parse_nic("52:54:00:00:00:01=52:54:00:00:00:02")};
    repaired();
    EXPECT_THAT(guest.get("/etc/udev/rules.d/70-persistent-net.rules"), HasSubstr("52:54:00:00:00:02"));
    EXPECT_EQ(guest.get("/etc/sysconfig/network-scripts/ifcfg-eth0"), "DEVICE=eth0\nHWADDR=52:54:00:00:00:02\n");
    EXPECT_THAT(guest.get("/etc/systemd/network/10-slipway-eth0.link"), HasSubstr("MACAddress=52:54:00:00:00:02"));
    EXPECT_THAT(repaired().journal, IsEmpty());
}

TEST_F(RepairTest, the_only_configured_interface_is_the_only_adapter) {
    guest.put("/etc/network/interfaces", "auto ens18\niface ens18 inet dhcp\n");
    request.nics = {*parse_nic("52:54:00:00:00:01=52:54:00:00:00:02")};
    repaired();
    EXPECT_TRUE(guest.has("/etc/systemd/network/10-slipway-ens18.link"));
    guest.put("/etc/network/interfaces", "iface ens18 inet dhcp\niface ens19 inet dhcp\n");
    fs::remove(guest.path() / "etc/systemd/network/10-slipway-ens18.link");
    EXPECT_THAT(repaired().warnings, Contains(HasSubstr("52:54:00:00:00:02")));
}

TEST_F(RepairTest, guest_without_link_files_gets_a_rule) {
    fs::remove_all(guest.path() / "lib/systemd");
    request.nics = {*parse_nic("eth0=52:54:00:00:00:02")};
    repaired();
    EXPECT_THAT(guest.get("/etc/udev/rules.d/70-persistent-net.rules"), HasSubstr("NAME=\"eth0\""));
    EXPECT_FALSE(guest.has("/etc/systemd/network"));
    EXPECT_THAT(repaired().journal, IsEmpty());
}

TEST_F(RepairTest, uefi_gets_a_fallback_loader_and_is_refused_without_an_esp) {
    request.firmware = Firmware::Uefi;
    auto refused = repair(request);
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(refused.error().is(fixup::errors::kBootLoader));
    guest.put("/boot/efi/EFI/debian/shimx64.efi", "shim");
    guest.put("/boot/efi/EFI/debian/grubx64.efi", "grub");
    repaired();
    EXPECT_EQ(guest.get("/boot/efi/EFI/BOOT/BOOTX64.EFI"), "shim");
    EXPECT_EQ(guest.get("/boot/efi/EFI/BOOT/grubx64.efi"), "grub");
    EXPECT_THAT(repaired().journal, IsEmpty());
}

TEST_F(RepairTest, wrong_requests_are_refused) {
    auto refused = [&](RepairRequest wrong) {
        const auto report = repair(wrong);
        return !report.ok() && report.error().is(fixup::errors::kRequest);
    };
    auto both = request;
    both.disk = "/dev/null";
    EXPECT_TRUE(refused(both));
    auto here = request;
    here.root = "/";
    here.dry_run = true;
    EXPECT_TRUE(refused(here)) << "the system that runs the test";
    auto nonce = request;
    nonce.proof_nonce = "a'b";
    EXPECT_TRUE(refused(nonce));
    auto chain = request;
    chain.nics = {*parse_nic("52:54:00:00:00:01=52:54:00:00:00:02"), *parse_nic("52:54:00:00:00:02=52:54:00:00:00:03")};
    EXPECT_TRUE(refused(chain));
}

TEST_F(RepairTest, a_clone_of_an_unprepared_template_is_whole_and_done_once) {
    guest.put("/etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    guest.put("/etc/hostname", "reference\n");
    guest.put("/usr/sbin/sshd", "");
    guest.put("/etc/ssh/ssh_host_rsa_key", "PRIVATE\n");
    guest.put("/var/log/syslog", "of the reference\n");
    guest.put("/etc/network/interfaces", "auto ens3\niface ens3 inet dhcp\n");
    guest.put("/sbin/ifup", "");
    guest.enable_unit("networking.service");
    guest.put("/var/lib/slipway/first-boot/done/old.0123456789ab", "0\n");
    request.prepare_template = Template::Also;
    request.nics = {*parse_nic("ens3=52:54:00:00:00:02")};
    request.personality =
        R"({"hostname": "web01", "machine_id": "fedcba9876543210fedcba9876543210", "ssh_host_keys": "new",
        "interfaces": [{"name": "ens3", "method": "static", "addresses": ["10.0.0.5/24"]}],
        "first_boot": [{"name": "hello", "script": "#!/bin/sh\necho hello\n"}]})";
    repaired();
    EXPECT_EQ(guest.get("/etc/hostname"), "web01\n");
    EXPECT_EQ(guest.get("/etc/machine-id"), "fedcba9876543210fedcba9876543210\n");
    EXPECT_FALSE(guest.has("/etc/ssh/ssh_host_rsa_key"));
    EXPECT_EQ(guest.get("/var/log/syslog"), "");
    EXPECT_TRUE(guest.has("/etc/systemd/network/10-slipway-ens3.link")) << "this repair's own name is no leftover";
    EXPECT_FALSE(guest.has("/var/lib/slipway/first-boot/done/old.0123456789ab"));
    EXPECT_TRUE(guest.has("/var/lib/slipway/first-boot/run"));
    const auto before = guest.everything();
    EXPECT_THAT(repaired().journal, IsEmpty());
    EXPECT_EQ(guest.everything(), before);
}

TEST_F(RepairTest, a_card_gets_the_name_that_the_personality_has_for_it) {
    guest.put("/sbin/ifup", "");
    guest.enable_unit("networking.service");
    guest.put("/etc/network/interfaces", "auto lan0\niface lan0 inet dhcp\n");
    request.personality =
        R"({"interfaces": [{"name": "lan0", "mac": "52:54:00:00:00:07", "method": "static", "addresses": ["10.0.0.5/24"]}]})";
    repaired();
    EXPECT_THAT(guest.get("/etc/systemd/network/10-slipway-lan0.link"), HasSubstr("MACAddress=52:54:00:00:00:07"));
    EXPECT_THAT(guest.get("/etc/network/interfaces"), HasSubstr("address 10.0.0.5/24"));
    EXPECT_THAT(repaired().journal, IsEmpty());
}

TEST_F(RepairTest, drivers_of_the_old_metal_leave_the_initramfs_and_those_of_the_new_stay) {
    guest.put(kModules, "ahci\nhpsa\n");
    guest.put("/lib/systemd/system/hp-health.service", "[Unit]\n");
    guest.put("/etc/modules", "vboxsf\n");
    request.drivers_file =
        "<Configuration><Driver Name=\"hpsa\" Start=\"Disable\"/><Driver Name=\"ata_piix\" Start=\"Disable\"/>"
        "<Service Name=\"hp-health\" Start=\"Disable\"/></Configuration>";
    EXPECT_THAT(repaired().warnings, Contains(HasSubstr("ata_piix")));
    EXPECT_THAT(guest.get(kModules), HasSubstr("# Slipway: hpsa\n"));
    EXPECT_THAT(guest.get(kInitrd), HasSubstr("k/ata_piix.ko"));
    EXPECT_THAT(guest.get("/etc/modprobe.d/slipway-p2v.conf"),
                AllOf(HasSubstr("blacklist hpsa\n"), Not(HasSubstr("ata_piix"))));
    EXPECT_TRUE(guest.has("/etc/systemd/system/hp-health.service"));
    EXPECT_EQ(guest.get("/etc/modules"), "# Slipway: vboxsf\n");
    EXPECT_THAT(repaired().journal, IsEmpty());
    request.keep_leftovers = true;
    guest.put("/etc/modules", "vboxsf\n");
    repaired();
    EXPECT_EQ(guest.get("/etc/modules"), "vboxsf\n");
}

TEST_F(RepairTest, a_personality_or_drivers_file_that_is_wrong_changes_nothing) {
    const auto before = guest.everything();
    request.personality = R"({"hostname": "a b"})";
    auto refused = repair(request);
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(refused.error().is(fixup::errors::kPersonality));
    request.personality.clear();
    request.drivers_file = "<!DOCTYPE x><Configuration/>";
    refused = repair(request);
    ASSERT_FALSE(refused.ok());
    EXPECT_TRUE(refused.error().is(fixup::errors::kDriversFile));
    EXPECT_EQ(guest.everything(), before);
}
