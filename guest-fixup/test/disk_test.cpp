// SPDX-License-Identifier: GPL-3.0-or-later
// Disks that cannot be repaired: full, read-only, cut short. Each is named, and every file on it stays as it was.
#include <sys/mount.h>
#include <fstream>
#include <iterator>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/errors.hpp"
#include "guest-fixup/test/fake_disk.hpp"

using namespace slipway;
using namespace slipway::fixup;
using testing::AnyOf;
using testing::HasSubstr;
using testing::IsEmpty;
namespace fs = std::filesystem;

namespace {

class DiskTest : public testing::Test {
protected:
    void SetUp() override {
        if (const auto why = test::lacking_for_disks(); !why.empty()) GTEST_SKIP() << why;
        test::put_system(guest);
        const auto made = test::make_disk(guest, disk);
        ASSERT_TRUE(made.ok()) << made.error().describe();
        request.disk = disk;
        request.nics = {*parse_nic("ens18=52:54:00:00:00:02")};
        request.proof_nonce = "n1";
    }
    void with_partition(const std::function<void(const fs::path&)>& act) {
        const auto loop = test::TestLoop::attach(disk, test::kFakePartition);
        ASSERT_TRUE(loop.ok()) << loop.error().describe();
        const auto place = dir / "mnt";
        fs::create_directories(place);
        ASSERT_TRUE(run_checked({"mount", loop->device(), place.string()}).ok());
        act(place);
        ASSERT_TRUE(run_checked({"umount", place.string()}).ok());
    }
    // Leaves that many KiB, root's reserve included.
    void fill_but(int kib) {
        with_partition([&](const fs::path& root) {
            std::ofstream(root / "kept-free", std::ios::binary)
                << std::string(static_cast<std::size_t>(kib) << 10, 'k');
            ::sync();
            std::ofstream fill(root / "fill", std::ios::binary);
            const std::string block(64u << 10, 'f');
            while (fill.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
            }
            fill.close();
            std::ofstream rest(root / "fill-2", std::ios::binary);
            while (rest.write(block.data(), 1024).flush()) {
            }
            rest.close();
            fs::remove(root / "kept-free");
        });
    }
    std::string digest() const { return run_checked({"sha256sum", disk.string()}).value().substr(0, 64); }
    std::map<std::string, std::string> files() const {
        auto all = test::files_on(disk);
        EXPECT_TRUE(all.ok()) << all.error().describe();
        return all ? *std::move(all) : std::map<std::string, std::string>();
    }

    TempDir dir = TempDir::create("disk-test").value();
    fs::path disk = dir / "disk.img";
    test::FakeRoot guest;
    RepairRequest request;
};

}  // namespace

TEST_F(DiskTest, a_full_one_is_named_and_every_file_is_as_it_was) {
    bool full = false;
    for (const int kib : {0, 4, 24, 64}) {
        SCOPED_TRACE(fmt::format("{} KiB are free", kib));
        ASSERT_TRUE(test::make_disk(guest, disk).ok());
        fill_but(kib);
        const auto before = files();
        const auto report = repair(request);
        if (report.ok()) continue;  // it was enough
        full = true;
        EXPECT_THAT(report.error().name(), AnyOf("fixup.guest-full", "fixup.initramfs")) << report.error().explain();
        EXPECT_TRUE(kib > 0 || report.error().is(fixup::errors::kGuestFull)) << report.error().explain();
        EXPECT_THAT(test::differences(files(), before), IsEmpty());
    }
    EXPECT_TRUE(full);
    // With space it is repaired as if nothing had been.
    with_partition([](const fs::path& root) {
        fs::remove(root / "fill");
        fs::remove(root / "fill-2");
    });
    const auto report = repair(request);
    EXPECT_TRUE(report.ok()) << report.error().explain();
}

TEST_F(DiskTest, a_read_only_one_is_named_and_a_dry_run_does_with_it) {
    const auto before = digest();
    const auto expect_named = [&](const fs::path& asked) {
        request.disk = asked;
        request.dry_run = false;
        const auto refused = repair(request);
        ASSERT_FALSE(refused.ok());
        EXPECT_TRUE(refused.error().is(fixup::errors::kReadOnly)) << refused.error().describe();
        request.dry_run = true;
        const auto plan = repair(request);
        EXPECT_TRUE(plan.ok()) << plan.error().explain();
    };
    {
        const auto loop = test::TestLoop::attach(disk, {"-r"});
        ASSERT_TRUE(loop.ok()) << loop.error().describe();
        expect_named(loop->device());
    }
    const auto shut = (dir / "read-only").string();
    fs::create_directory(shut);
    ASSERT_EQ(::mount(dir.path().c_str(), shut.c_str(), nullptr, MS_BIND, nullptr), 0);
    ASSERT_EQ(::mount(nullptr, shut.c_str(), nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY, nullptr), 0);
    expect_named(shut + "/disk.img");
    ::umount2(shut.c_str(), MNT_DETACH);
    EXPECT_EQ(digest(), before);
}

TEST_F(DiskTest, one_that_is_cut_short_is_named_and_not_written_to) {
    for (const std::uint64_t size : {30u << 20, 1u << 20, 100u << 10, 300u}) {
        SCOPED_TRACE(fmt::format("{} bytes", size));
        ASSERT_TRUE(test::make_disk(guest, disk).ok());
        fs::resize_file(disk, size);
        const auto before = digest();
        const auto report = repair(request);
        ASSERT_FALSE(report.ok());
        // Without its table nobody knows how much there was.
        const auto& expected = size >= 512 ? fixup::errors::kCutShort : fixup::errors::kNoRoot;
        EXPECT_TRUE(report.error().is(expected)) << report.error().describe();
        EXPECT_THAT(report.error().message(), HasSubstr(size >= 512 ? "its partitions end at 42991616" : "no volume"));
        EXPECT_EQ(digest(), before);
    }
}

TEST_F(DiskTest, one_that_is_cut_behind_its_whole_root_is_named_too) {
    fs::resize_file(disk, 64u << 20);
    CommandOptions swap;
    swap.input = "start=86016,size=32768,type=82\n";
    ASSERT_TRUE(run_checked({"sfdisk", "-q", "--append", disk.string()}, swap).ok());
    fs::resize_file(disk, 50u << 20);
    const auto before = digest();
    for (const bool dry_run : {true, false}) {
        request.dry_run = dry_run;
        const auto report = repair(request);
        ASSERT_FALSE(report.ok());
        EXPECT_TRUE(report.error().is(fixup::errors::kCutShort)) << report.error().describe();
    }
    EXPECT_EQ(digest(), before);
}

TEST_F(DiskTest, a_copy_of_an_xfs_is_repaired_while_the_original_is_mounted) {
    std::ifstream kernel("/proc/filesystems");
    const std::string known((std::istreambuf_iterator<char>(kernel)), {});
    if (known.find("\txfs\n") == std::string::npos || !fs::exists("/sbin/mkfs.xfs"))
        GTEST_SKIP() << "needs a kernel with XFS, and mkfs.xfs";
    const auto original = dir / "xfs.img", place = dir / "xfs";
    fs::create_directory(place);
    ASSERT_TRUE(run_checked({"truncate", "-s", "320M", original.string()}).ok());
    ASSERT_TRUE(run_checked({"mkfs.xfs", "-q", original.string()}).ok());
    ASSERT_TRUE(run_checked({"mount", "-o", "loop", original.string(), place.string()}).ok());
    guest.put("/etc/fstab", "/dev/sda / xfs defaults 0 0\n");
    EXPECT_TRUE(run_checked({"cp", "-a", guest.path().string() + "/.", place.string()}).ok());
    EXPECT_TRUE(run_checked({"umount", place.string()}).ok());
    ASSERT_TRUE(run_checked({"cp", "--sparse=always", original.string(), (dir / "copy.img").string()}).ok());
    ASSERT_TRUE(run_checked({"mount", "-o", "loop,ro", original.string(), place.string()}).ok());
    request.disk = dir / "copy.img";
    for (const bool dry_run : {true, false}) {
        request.dry_run = dry_run;
        const auto report = repair(request);
        EXPECT_TRUE(report.ok()) << report.error().explain();
    }
    EXPECT_TRUE(run_checked({"umount", place.string()}).ok());
}

TEST_F(DiskTest, repaired_for_one_target_and_then_another_an_undo_brings_the_first_bytes_back) {
    const auto original = files();
    std::map<std::string, std::string> last = original;
    for (const auto target : {TargetController::Ide, TargetController::VirtioBlk}) {
        request.target = target;
        const auto report = repair(request);
        ASSERT_TRUE(report.ok()) << report.error().explain();
        EXPECT_FALSE(report->journal.empty());
        const auto now = files();
        EXPECT_FALSE(test::differences(now, last).empty());
        last = now;
    }
    RepairRequest back;
    back.disk = disk;
    back.undo = true;
    const auto undone = repair(back);
    ASSERT_TRUE(undone.ok()) << undone.error().explain();
    EXPECT_THAT(test::differences(files(), original), IsEmpty());
}
