// SPDX-License-Identifier: GPL-3.0-or-later
// The lab's real Debian on a real disk image: repaired, repaired again, and killed while being repaired.
#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/fixup.hpp"
#include "lib/base/process.hpp"
#include "lib/base/temp_dir.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
namespace fs = std::filesystem;

namespace {

class LabTest : public testing::Test {
protected:
    // One disk for all cases, copied for each.
    static void SetUpTestSuite() {
        if (::geteuid() != 0 || !fs::exists("/dev/loop-control")) return;
        lab = new TempDir(TempDir::create("fixup-lab").value());
        auto made =
            run_checked({SLIPWAY_SOURCE_DIR "/tests/lab/make-source", "--output", (*lab / "source.img").string()});
        if (!made) why = made.error().describe();
    }
    static void TearDownTestSuite() {
        delete lab;
        lab = nullptr;
    }
    void SetUp() override {
        if (!lab) GTEST_SKIP() << "needs root and loop devices";
        ASSERT_EQ(why, "");
        disk = *lab / "disk.img";
        ASSERT_TRUE(run_checked({"cp", "--sparse=always", (*lab / "source.img").string(), disk.string()}).ok());
        request.disk = disk;
        request.target = TargetController::Ide;
        request.nics = {*parse_nic("ens18=52:54:00:51:00:02")};
        request.proof_nonce = "lab-1";
    }
    void TearDown() override {
        if (!lab) return;
        EXPECT_EQ(loops(), "");
        EXPECT_THAT(read_text_file("/proc/self/mountinfo").value(), Not(HasSubstr("slipway-fixup-")));
    }
    std::string loops() const { return run_checked({"losetup", "-j", disk.string()}).value(); }
    // What e2fsprogs, not we, see in the guest.
    std::string debugfs(const std::string& command) const {
        return run_checked({"debugfs", "-R", command, disk.string() + "?offset=1048576"}).value();
    }
    std::string initramfs_listing(const std::string& version) const {
        const auto copy = *lab / "initrd";
        debugfs("dump /boot/initrd.img-" + version + " " + copy.string());
        return run_checked({"lsinitramfs", copy.string()}).value();
    }

    static TempDir* lab;
    static std::string why;
    fs::path disk;
    RepairRequest request;
};
TempDir* LabTest::lab = nullptr;
std::string LabTest::why;

}  // namespace

TEST_F(LabTest, debian_on_a_disk_is_repaired_once) {
    const auto first = repair(request);
    ASSERT_TRUE(first.ok()) << first.error().explain();
    ASSERT_EQ(first->kernels.size(), 1u);
    EXPECT_THAT(initramfs_listing(first->kernels[0]), HasSubstr("/ata_piix.ko"));
    EXPECT_THAT(debugfs("cat /var/lib/slipway/repair.json"), HasSubstr("ata_piix"));
    EXPECT_THAT(debugfs("cat /etc/systemd/network/10-slipway-ens18.link"), HasSubstr("52:54:00:51:00:02"));
    const auto second = repair(request);
    ASSERT_TRUE(second.ok()) << second.error().explain();
    EXPECT_THAT(second->journal, IsEmpty());
    EXPECT_TRUE(second->unchanged);
}

TEST_F(LabTest, undo_gives_the_disk_its_old_files_back) {
    const auto version = run_checked({"sh", "-c",
                                      "debugfs -R 'ls -p /lib/modules' " + disk.string() +
                                          "?offset=1048576 2>/dev/null | cut -d/ -f6 | grep ^6"})
                             .value();
    const auto kernel = version.substr(0, version.find('\n'));
    const auto fstab = debugfs("cat /etc/fstab"), modules = debugfs("cat /etc/initramfs-tools/modules"),
               initramfs = debugfs("stat /boot/initrd.img-" + kernel);
    ASSERT_TRUE(repair(request).ok());
    EXPECT_NE(debugfs("stat /boot/initrd.img-" + kernel), initramfs);
    request.undo = true;
    const auto undone = repair(request);
    ASSERT_TRUE(undone.ok()) << undone.error().explain();
    EXPECT_EQ(debugfs("cat /etc/fstab"), fstab);
    EXPECT_EQ(debugfs("cat /etc/initramfs-tools/modules"), modules);
    // The same inode with the same times and blocks, but for the change time.
    const auto again = debugfs("stat /boot/initrd.img-" + kernel);
    const auto blocks = [](const std::string& text) { return text.substr(text.find("EXTENTS:")); };
    EXPECT_EQ(blocks(again), blocks(initramfs));
    EXPECT_THAT(debugfs("ls /var/lib/slipway"), Not(HasSubstr("repair")));
}

TEST_F(LabTest, dry_run_leaves_the_disk_as_it_is) {
    const auto before = run_checked({"sha256sum", disk.string()}).value();
    request.dry_run = true;
    const auto report = repair(request);
    ASSERT_TRUE(report.ok()) << report.error().explain();
    EXPECT_FALSE(report->journal.empty());
    EXPECT_EQ(run_checked({"sha256sum", disk.string()}).value(), before);
}

TEST_F(LabTest, a_killed_repair_leaves_nothing_behind_and_can_be_done_again) {
    const auto program =
        fs::path(std::getenv("SLIPWAY_BIN") ? std::getenv("SLIPWAY_BIN") : "build/bin") / "slipway-fixup";
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    UniqueFd read_end(ends[0]), write_end(ends[1]);
    // A kill leaves an empty directory; not in /tmp.
    CommandOptions options;
    options.environment = {"TMPDIR=" + lab->path().string()};
    auto child = Child::spawn({program.string(), "--disk", disk.string(), "--target", "ide"}, {-1, -1, write_end.get()},
                              options);
    ASSERT_TRUE(child.ok());
    write_end.reset();
    std::string notes;
    char byte;
    while (notes.find("initramfs 6") == std::string::npos && ::read(read_end.get(), &byte, 1) == 1) notes += byte;
    ASSERT_THAT(notes, HasSubstr("initramfs 6"));
    child->signal(SIGKILL);
    EXPECT_EQ(child->wait(), 137);
    // The kernel ends the guest's tools and lets go of the mounts a moment after the kill.
    for (int i = 0; i < 100 && !loops().empty(); ++i) ::usleep(100'000);
    EXPECT_EQ(loops(), "");
    const auto report = repair(request);
    ASSERT_TRUE(report.ok()) << report.error().explain();
    EXPECT_THAT(initramfs_listing(report->kernels.at(0)), HasSubstr("/ata_piix.ko"));
}

TEST_F(LabTest, image_formats_that_no_loop_device_reads_are_named) {
    const auto qcow = *lab / "x.qcow2";
    ASSERT_TRUE(run_checked({"qemu-img", "create", "-q", "-f", "qcow2", qcow.string(), "1M"}).ok());
    const auto vhd = *lab / "x.vhd";
    ASSERT_TRUE(run_checked({"qemu-img", "create", "-q", "-f", "vpc", vhd.string(), "4M"}).ok());
    for (const auto& path : {qcow, vhd}) {
        request.disk = path;
        const auto report = repair(request);
        ASSERT_FALSE(report.ok());
        EXPECT_TRUE(report.error().is(fixup::errors::kImageFormat)) << report.error().describe();
    }
}

TEST_F(LabTest, fixed_vhd_is_repaired_like_a_raw_disk) {
    const auto vhd = *lab / "x.fixed.vhd";
    ASSERT_TRUE(run_checked({"qemu-img", "convert", "-f", "raw", "-O", "vpc", "-o", "subformat=fixed,force_size=on",
                             disk.string(), vhd.string()})
                    .ok());
    request.disk = vhd;
    const auto report = repair(request);
    ASSERT_TRUE(report.ok()) << report.error().explain();
    EXPECT_THAT(repair(request).value().journal, IsEmpty());
}
