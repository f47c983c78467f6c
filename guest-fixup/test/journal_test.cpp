// SPDX-License-Identifier: GPL-3.0-or-later
// Repairs that are undone, that fail, that are asked for a second time.
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/fixup.hpp"
#include "guest-fixup/guest.hpp"
#include "guest-fixup/test/fake_system.hpp"

using namespace slipway;
using namespace slipway::fixup;
using test::kInitrd;
using test::manifest;
using testing::Contains;
using testing::Field;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;
namespace fs = std::filesystem;

namespace {

class JournalTest : public testing::Test {
protected:
    void SetUp() override {
        if (::geteuid() != 0) GTEST_SKIP() << "needs root: chroot and namespaces";
        if (!fs::exists("/bin/busybox")) GTEST_SKIP() << "busybox-static is not installed";
        test::put_system(guest);
        request.root = guest.path();
        request.target = TargetController::Ide;
        request.nics = {*parse_nic("ens18=52:54:00:00:00:02")};
        request.proof_nonce = "n1";
    }
    RepairReport repaired() {
        auto report = repair(request);
        EXPECT_TRUE(report.ok()) << (report.ok() ? "" : report.error().explain());
        return report.ok() ? *std::move(report) : RepairReport{};
    }
    Error refused() {
        auto report = repair(request);
        EXPECT_FALSE(report.ok());
        return report.ok() ? make_error(errors::kRequest, "it was done") : std::move(report).error();
    }
    std::map<std::string, std::string> all() const { return manifest(guest.path()); }

    test::FakeRoot guest;
    RepairRequest request;
};

}  // namespace

TEST_F(JournalTest, undo_gives_every_file_back_with_mode_owner_and_attributes) {
    const auto fstab = guest.path() / "etc/fstab", modules = guest.path() / "etc/initramfs-tools/modules";
    fs::permissions(modules, fs::perms(0640));
    ASSERT_EQ(::chown(modules.c_str(), 7, 8), 0);
    const bool attributes = ::setxattr(modules.c_str(), "trusted.slipway", "kept", 4, 0) == 0;
    fs::create_symlink("/elsewhere", guest.path() / "etc/dangling");
    const auto before = all();
    struct stat old {
    }, now{};
    ASSERT_EQ(::stat(modules.c_str(), &old), 0);
    EXPECT_THAT(repaired().journal, Not(IsEmpty()));
    request.target = TargetController::VirtioBlk;
    EXPECT_THAT(repaired().journal, Not(IsEmpty()));
    EXPECT_NE(all(), before);
    request.undo = true;
    const auto undone = repaired();
    EXPECT_TRUE(undone.undo);
    EXPECT_THAT(undone.journal, Contains(Field(&Change::where, "/boot/grub/device.map")));
    EXPECT_EQ(all(), before);
    ASSERT_EQ(::stat(modules.c_str(), &now), 0);
    EXPECT_EQ(now.st_ino, old.st_ino);
    EXPECT_EQ(now.st_mtim.tv_nsec, old.st_mtim.tv_nsec);
    if (attributes) {
        char value[8];
        EXPECT_EQ(::getxattr(modules.c_str(), "trusted.slipway", value, sizeof value), 4);
    }
    EXPECT_THAT(repaired().journal, IsEmpty());
    EXPECT_EQ(all(), before);
}

TEST_F(JournalTest, undo_dry_run_says_the_same_and_changes_nothing) {
    repaired();
    const auto before = all();
    request.undo = request.dry_run = true;
    const auto said = repaired();
    EXPECT_EQ(all(), before);
    request.dry_run = false;
    const auto done = repaired();
    ASSERT_EQ(said.journal.size(), done.journal.size());
    for (std::size_t i = 0; i < done.journal.size(); ++i) EXPECT_EQ(said.journal[i].where, done.journal[i].where);
}

TEST_F(JournalTest, undo_refuses_by_name_when_others_changed_a_file_since) {
    repaired();
    guest.put("/etc/initramfs-tools/modules", "an administrator's\n");
    const auto before = all();
    request.undo = true;
    const auto error = refused();
    EXPECT_TRUE(error.is(fixup::errors::kChangedSince)) << error.describe();
    EXPECT_THAT(error.message(), HasSubstr("/etc/initramfs-tools/modules"));
    EXPECT_EQ(all(), before);
}

TEST_F(JournalTest, another_repair_after_others_changed_a_file_is_undone_as_far_as_that) {
    repaired();
    guest.put("/etc/initramfs-tools/modules", "an administrator's\n");
    const auto before = all();
    request.target = TargetController::VirtioBlk;
    EXPECT_THAT(repaired().warnings, Contains(HasSubstr("changed since the last repair")));
    EXPECT_THAT(guest.get("/etc/initramfs-tools/modules"), HasSubstr("virtio"));
    request.undo = true;
    EXPECT_THAT(repaired().warnings, Contains(HasSubstr("what repair 2 found, and no further")));
    auto after = all();
    EXPECT_EQ(guest.get("/etc/initramfs-tools/modules"), "an administrator's\n");
    constexpr const char* kInputs = "/var/lib/slipway/repair/inputs";  // the last repair's, whatever became of it
    after[kInputs] = before.at(kInputs);
    EXPECT_EQ(after, before);
    EXPECT_TRUE(refused().is(fixup::errors::kChangedSince));
}

TEST_F(JournalTest, undo_does_not_mind_a_file_that_somebody_put_back_already) {
    const auto before = all();
    repaired();
    guest.put("/boot/grub/device.map", "(hd0) /dev/sda\n");
    request.undo = true;
    repaired();
    EXPECT_EQ(all(), before);
}

TEST_F(JournalTest, undo_leaves_what_others_put_into_a_new_directory) {
    repaired();
    guest.put("/etc/systemd/network/50-mine.network", "[Match]\n");
    request.undo = true;
    const auto report = repaired();
    EXPECT_TRUE(guest.has("/etc/systemd/network/50-mine.network"));
    EXPECT_FALSE(guest.has("/etc/systemd/network/10-slipway-ens18.link"));
    EXPECT_THAT(report.journal, Contains(Field(&Change::what, HasSubstr("/etc/systemd/network stays"))));
}

TEST_F(JournalTest, second_run_asks_no_tool_of_the_guest) {
    const auto first = repaired();
    EXPECT_FALSE(first.unchanged);
    const auto before = all();
    const auto listed = guest.get("/listed");
    const auto second = repaired();
    EXPECT_TRUE(second.unchanged);
    EXPECT_EQ(second.inputs, first.inputs);
    EXPECT_EQ(second.kernels, first.kernels);
    EXPECT_EQ(second.warnings, first.warnings);
    EXPECT_THAT(second.journal, IsEmpty());
    EXPECT_THAT(to_json(second), HasSubstr("\"unchanged\":true"));
    EXPECT_EQ(guest.get("/listed"), listed);
    EXPECT_EQ(all(), before);
}

TEST_F(JournalTest, second_run_looks_again_when_anything_it_looked_at_is_different) {
    repaired();
    guest.put("/etc/fstab", "UUID=aaaa / ext4 defaults 0 1\n# a comment\n");
    EXPECT_FALSE(repaired().unchanged);
    EXPECT_TRUE(repaired().unchanged);
    guest.put(kInitrd, "k/ahci.ko\n");  // as a kernel package's update may
    const auto third = repaired();
    EXPECT_FALSE(third.unchanged);
    EXPECT_THAT(guest.get(kInitrd), HasSubstr("ata_piix"));
    guest.put("/lib/modules/6.2/modules.dep", "");
    EXPECT_FALSE(repaired().unchanged);
    request.target = TargetController::VirtioBlk;
    EXPECT_FALSE(repaired().unchanged);
    request.proof_nonce = "n2";
    EXPECT_FALSE(repaired().unchanged);
}

TEST_F(JournalTest, looking_again_leaves_nothing_either) {
    repaired();
    guest.put("/etc/fstab", "UUID=aaaa / ext4 defaults 0 1\n# a comment\n");
    const auto before = all();
    request.dry_run = true;
    EXPECT_THAT(repaired().journal, IsEmpty());
    EXPECT_EQ(all(), before);
}

TEST_F(JournalTest, failing_tool_leaves_nothing_changed) {
    test::put_script(guest, "/usr/sbin/update-initramfs",
                     "echo half >/boot/initrd.img-6.1; echo x >/boot/initrd.img-6.1.new; mkdir /boot/work; "
                     "echo y >/boot/work/y; exit 1\n");
    const auto before = all();
    EXPECT_TRUE(refused().is(fixup::errors::kInitramfs));
    EXPECT_EQ(all(), before);
}

TEST_F(JournalTest, tool_that_writes_in_place_does_not_reach_the_kept_original) {
    test::put_script(guest, "/usr/sbin/update-initramfs",
                     "sed 's,^,k/,;s,$,.ko,' /etc/initramfs-tools/modules >/boot/initrd.img-$3\n");
    const auto before = all();
    repaired();
    EXPECT_THAT(guest.get(kInitrd), HasSubstr("ata_piix"));
    request.undo = true;
    repaired();
    EXPECT_EQ(all(), before);
}

TEST_F(JournalTest, files_that_a_tool_makes_are_undone_too) {
    test::put_script(
        guest, "/usr/sbin/update-initramfs",
        "cp /boot/initrd.img-$3 /boot/initrd.img-$3.bak; echo sum >/var/lib/initramfs-tools/$3; "
        "sed 's,^,k/,;s,$,.ko,' /etc/initramfs-tools/modules >/boot/new; mv /boot/new /boot/initrd.img-$3\n");
    guest.put("/var/lib/initramfs-tools/6.1", "old sum\n");
    const auto before = all();
    const auto report = repaired();
    EXPECT_THAT(report.journal, Contains(Field(&Change::where, "/boot/initrd.img-6.1.bak")));
    EXPECT_THAT(report.journal, Contains(Field(&Change::where, "/var/lib/initramfs-tools/6.1")));
    request.undo = true;
    repaired();
    EXPECT_EQ(all(), before);
}

TEST_F(JournalTest, trees_are_removed_and_come_back) {
    guest.put("/opt/agent/bin/run", "x");
    fs::permissions(guest.path() / "opt/agent/bin", fs::perms(0750));
    fs::create_symlink("../bin/run", guest.path() / "opt/agent/bin/link");
    const auto before = all();
    std::vector<std::string> notes;
    {
        auto g = Guest::open(guest.path(), false).value();
        ASSERT_TRUE(g.begin_repair(notes).ok());
        ASSERT_TRUE(g.remove_tree("agent", "/opt/agent").ok());
        ASSERT_TRUE(g.write("anew", "/opt/agent/other", "y").ok());
        EXPECT_FALSE(guest.has("/opt/agent/bin"));
        ASSERT_TRUE(g.roll_back(notes).ok());
        EXPECT_EQ(all(), before);
        ASSERT_TRUE(g.remove_tree("agent", "/opt/agent").ok());
        ASSERT_TRUE(g.finish_repair().ok());
    }
    EXPECT_FALSE(guest.has("/opt/agent"));
    const auto undone = Guest::open(guest.path(), false).value().undo(notes);
    ASSERT_TRUE(undone.ok()) << undone.error().explain();
    EXPECT_EQ(all(), before);
}

TEST_F(JournalTest, what_is_to_be_forgotten_comes_back_from_a_failure_but_not_from_an_undo) {
    std::vector<std::string> notes;
    {
        auto g = Guest::open(guest.path(), false).value();
        ASSERT_TRUE(g.begin_repair(notes).ok());
        ASSERT_TRUE(g.write("host key", "/etc/ssh/key", "private-words of an earlier repair\n").ok());
        ASSERT_TRUE(g.write("host key", "/etc/ssh/key", "private-words\n").ok());
        ASSERT_TRUE(g.finish_repair().ok());
    }
    const auto before = all();
    for (const bool fails : {true, false}) {
        auto g = Guest::open(guest.path(), false).value();
        ASSERT_TRUE(g.begin_repair(notes).ok());
        g.forget_originals(true);
        ASSERT_TRUE(g.remove("host key", "/etc/ssh/key").ok());
        g.forget_originals(false);
        ASSERT_TRUE(g.write("host name", "/etc/hostname", "new\n").ok());
        ASSERT_TRUE((fails ? g.roll_back(notes) : g.finish_repair()).ok());
        EXPECT_EQ(all() == before, fails);
    }
    for (const auto& [path, line] : all()) EXPECT_THAT(line, Not(HasSubstr("private-words"))) << path;
    ASSERT_TRUE(Guest::open(guest.path(), false).value().undo(notes).ok());
    EXPECT_FALSE(guest.has("/etc/hostname"));
    EXPECT_FALSE(guest.has("/etc/ssh/key"));
    EXPECT_FALSE(guest.has("/var/lib/slipway"));
}

TEST_F(JournalTest, file_system_of_its_own_for_boot_is_kept_by_copy) {
    const test::FakeRoot boot;
    if (::mount("none", boot.path().c_str(), "tmpfs", 0, "size=16m") != 0) GTEST_SKIP() << "no tmpfs can be mounted";
    fs::copy(guest.path() / "boot", boot.path(), fs::copy_options::recursive);
    fs::remove_all(guest.path() / "boot");
    fs::create_directory(guest.path() / "boot");
    ASSERT_EQ(::mount(boot.path().c_str(), (guest.path() / "boot").c_str(), nullptr, MS_BIND, nullptr), 0);
    ASSERT_EQ(::chmod((boot.path() / "initrd.img-6.1").c_str(), 0600), 0);
    const auto before = all();
    const auto first = repair(request);
    const auto image = guest.get(kInitrd);
    test::put_script(guest, "/usr/sbin/update-initramfs", "echo x >/boot/initrd.img-6.1; exit 1\n");
    request.target = TargetController::VirtioBlk;
    const auto second = repair(request);
    const auto image_then = guest.get(kInitrd);
    request.undo = true;
    const auto undone = repair(request);
    auto after = all();
    ::umount2((guest.path() / "boot").c_str(), MNT_DETACH);
    ::umount2(boot.path().c_str(), MNT_DETACH);
    ASSERT_TRUE(first.ok()) << first.error().explain();
    EXPECT_THAT(image, HasSubstr("ata_piix"));
    EXPECT_FALSE(second.ok());
    EXPECT_EQ(image_then, image);
    ASSERT_TRUE(undone.ok()) << undone.error().explain();
    after["/usr/sbin/update-initramfs"] = before.at("/usr/sbin/update-initramfs");
    EXPECT_EQ(after, before);
}

TEST_F(JournalTest, damaged_kept_original_is_not_put_back) {
    repaired();
    for (const auto& entry : fs::directory_iterator(guest.path() / "var/lib/slipway/repair/kept"))
        if (entry.is_regular_file()) std::ofstream(entry.path()) << "forged";
    const auto before = all();
    request.undo = true;
    EXPECT_TRUE(refused().is(fixup::errors::kJournal));
    EXPECT_EQ(all(), before);
}
