// SPDX-License-Identifier: GPL-3.0-or-later
// Whole repairs of a small guest whose tools are busybox scripts.
#include <sys/eventfd.h>
#include <sys/stat.h>
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
    EXPECT_TRUE(report.error().is(fixup::errors::kCancelled)) << report.error().describe();
    EXPECT_EQ(guest.get(kInitrd), "k/ahci.ko\n");
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
           "do echo \"-rw-r--r-- 1 root root 9 Jan 1 k/$m.ko.xz\"; done >\"$5\"\n");
    script("/usr/bin/lsinitrd", "cat \"$1\"\n");
    const auto report = repaired();
    EXPECT_THAT(report.kernels, ElementsAre("6.1"));
    EXPECT_THAT(guest.get("/boot/initramfs-6.1.img"), HasSubstr("ata_piix"));
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
    auto nonce = request;
    nonce.proof_nonce = "a'b";
    EXPECT_TRUE(refused(nonce));
    auto chain = request;
    chain.nics = {*parse_nic("52:54:00:00:00:01=52:54:00:00:00:02"), *parse_nic("52:54:00:00:00:02=52:54:00:00:00:03")};
    EXPECT_TRUE(refused(chain));
}
