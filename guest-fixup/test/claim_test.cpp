// SPDX-License-Identifier: GPL-3.0-or-later
// A disk that is being repaired is nobody else's.
#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cstdlib>
#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "guest-fixup/claim.hpp"
#include "guest-fixup/errors.hpp"
#include "guest-fixup/test/fake_disk.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/process.hpp"
#include "lib/base/strings.hpp"
#include "lib/base/temp_dir.hpp"
#include "lib/disks/errors.hpp"
#include "lib/disks/vhd/operations.hpp"
#include "lib/disks/vhd/vhd.hpp"

using namespace slipway;
using namespace slipway::fixup;
namespace fs = std::filesystem;

namespace {

class Claim : public testing::Test {
protected:
    void SetUp() override {
        std::ofstream(raw).close();
        fs::resize_file(raw, 4u << 20);
        ASSERT_TRUE(disks::create_vhd(vhd, disks::VhdKind::Dynamic, 4u << 20).ok());
    }
    template <typename T>
    static void expect_in_use(const Result<T>& claimed) {
        ASSERT_FALSE(claimed.ok());
        EXPECT_TRUE(claimed.error().is(disks::errors::kVhdInUse)) << claimed.error().describe();
    }
    TempDir dir = TempDir::create("claim").value();
    fs::path raw = dir / "a.img", vhd = dir / "a.vhd";
};

}  // namespace

TEST_F(Claim, a_disk_under_repair_is_refused_to_a_second_one_and_to_qemu) {
    for (const auto& path : {raw, vhd}) {
        auto first = open_claimed(path, false);
        ASSERT_TRUE(first.ok()) << first.error().describe();
        EXPECT_TRUE(first->disk->writable());
        expect_in_use(open_claimed(path, false));
        expect_in_use(open_claimed(path, true));
        expect_in_use(claim_disk(path, false));
        const auto qemu =
            run_command({"qemu-io", "-f", path == raw ? "raw" : "vpc", "-c", "write 0 512", path.string()});
        ASSERT_TRUE(qemu.ok());
        EXPECT_NE(qemu->exit_code, 0) << qemu->output;
        first = make_error(disks::errors::kVhdInUse, "let go");
        EXPECT_TRUE(open_claimed(path, false).ok());
    }
}

TEST_F(Claim, dry_runs_share_a_disk_and_keep_writers_out) {
    for (const auto& path : {raw, vhd}) {
        auto first = open_claimed(path, true);
        ASSERT_TRUE(first.ok()) << first.error().describe();
        EXPECT_FALSE(first->disk->writable());
        EXPECT_TRUE(open_claimed(path, true).ok());
        EXPECT_TRUE(claim_disk(path, true).ok());
        expect_in_use(claim_disk(path, false));
        expect_in_use(open_claimed(path, false));
    }
}

TEST_F(Claim, a_difference_is_written_and_what_it_is_built_on_stays_as_it_is) {
    const auto child = dir / "try.vhd";
    ASSERT_TRUE(disks::create_difference(vhd, child).ok());
    const auto before = read_file(vhd).value();
    for (const auto& refused : {open_claimed(vhd, false).error(), claim_disk(vhd, false).error()})
        EXPECT_TRUE(refused.is(disks::errors::kVhdHasChildren)) << refused.describe();
    EXPECT_TRUE(open_claimed(vhd, true).ok());
    auto claimed = open_claimed(child, false);
    ASSERT_TRUE(claimed.ok()) << claimed.error().describe();
    ASSERT_TRUE(claimed->disk->write(4096, Bytes(512, std::byte{7})).ok());
    ASSERT_TRUE(claimed->disk->flush().ok());
    EXPECT_EQ(read_file(vhd).value(), before);
}

TEST_F(Claim, a_file_that_is_mounted_by_a_loop_device_is_refused) {
    if (::geteuid() != 0 || !fs::exists("/dev/loop-control")) GTEST_SKIP() << "needs root and loop devices";
    ASSERT_TRUE(run_checked({"mke2fs", "-q", "-t", "ext4", "-F", raw.string()}).ok());
    const auto place = dir / "mnt";
    fs::create_directory(place);
    ASSERT_TRUE(run_checked({"mount", "-o", "loop", raw.string(), place.string()}).ok());
    const auto claimed = open_claimed(raw, false);
    const auto direct = claim_disk(raw, true);
    ASSERT_TRUE(run_checked({"umount", place.string()}).ok());
    ASSERT_FALSE(claimed.ok());
    EXPECT_EQ(claimed.error().name(), "fixup.in-use");
    EXPECT_FALSE(direct.ok());
}

namespace {

// In a mount namespace of another process, until it is told to end.
class MountedElsewhere {
public:
    MountedElsewhere(const fs::path& device, const fs::path& place) {
        int told[2], end[2];
        if (::pipe(told) != 0 || ::pipe(end) != 0) return;
        pid_ = ::fork();
        if (pid_ == 0) {
            ::close(end[1]);
            char done = ::unshare(CLONE_NEWNS) == 0 &&
                        ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                        ::mount(device.c_str(), place.c_str(), "ext4", 0, nullptr) == 0;
            (void)!::write(told[1], &done, 1);
            (void)!::read(end[0], &done, 1);
            ::_exit(0);
        }
        char done = 0;
        mounted = ::read(told[0], &done, 1) == 1 && done != 0;
        end_ = UniqueFd(end[1]);
        ::close(told[0]), ::close(told[1]), ::close(end[0]);
    }
    ~MountedElsewhere() {
        end_ = UniqueFd();
        if (pid_ > 0) ::waitpid(pid_, nullptr, 0);
    }
    bool mounted = false;

private:
    pid_t pid_ = -1;
    UniqueFd end_;
};

struct Loop {
    fs::path device;
    explicit Loop(const fs::path& file)
        : device(trim(run_command({"losetup", "-f", "--show", file.string()}).value().output)) {}
    ~Loop() { (void)run_command({"losetup", "-d", device.string()}); }
};

}  // namespace

TEST_F(Claim, a_file_that_is_mounted_by_another_name_in_another_namespace_is_refused) {
    if (::geteuid() != 0 || !fs::exists("/dev/loop-control")) GTEST_SKIP() << "needs root and loop devices";
    ASSERT_TRUE(run_checked({"mke2fs", "-q", "-t", "ext4", "-F", raw.string()}).ok());
    fs::create_hard_link(raw, dir / "other");
    fs::create_directory(dir / "mnt");
    const Loop loop(dir / "other");
    EXPECT_TRUE(claim_disk(raw, false).ok()) << "attached alone it is nobody's";
    {
        const MountedElsewhere there(loop.device, dir / "mnt");
        ASSERT_TRUE(there.mounted);
        for (const bool dry_run : {false, true}) {
            for (const auto& refused : {claim_disk(raw, dry_run).error(), open_claimed(raw, dry_run).error()})
                EXPECT_EQ(refused.name(), "fixup.in-use") << refused.describe();
        }
    }
    EXPECT_TRUE(claim_disk(raw, false).ok());
}

TEST_F(Claim, a_file_and_a_loop_device_that_shows_it_are_one_disk) {
    if (::geteuid() != 0 || !fs::exists("/dev/loop-control")) GTEST_SKIP() << "needs root and loop devices";
    const Loop loop(raw);
    {
        const auto first = claim_disk(raw, false);
        ASSERT_TRUE(first.ok()) << first.error().explain();
        expect_in_use(claim_disk(loop.device, false));
        expect_in_use(open_claimed(loop.device, true));
    }
    {
        const auto first = claim_disk(loop.device, false);
        ASSERT_TRUE(first.ok()) << first.error().explain();
        expect_in_use(claim_disk(raw, false));
    }
    const auto first = open_claimed(loop.device, false);
    ASSERT_TRUE(first.ok()) << first.error().explain();
    expect_in_use(open_claimed(raw, false));
}

// ---- whole repairs

namespace {

class ClaimedRepair : public testing::Test {
protected:
    void SetUp() override {
        if (const auto why = test::lacking_for_disks(); !why.empty()) GTEST_SKIP() << why;
        test::put_system(guest);
        request.nics = {*parse_nic("ens18=52:54:00:00:00:02")};
    }
    void on_disk() {
        const auto made = test::make_disk(guest, disk);
        ASSERT_TRUE(made.ok()) << made.error().describe();
        request.disk = disk;
    }
    // What a second run says that is started in the middle of this one.
    std::optional<Error> second_meanwhile(bool dry_run) {
        auto other = request;
        other.dry_run = dry_run;
        std::optional<Error> said;
        bool asked = false;
        const auto first = repair(request, [&](const std::string&) {
            if (std::exchange(asked, true)) return;
            if (auto second = repair(other); !second) said = second.error();
        });
        EXPECT_TRUE(first.ok()) << first.error().explain();
        return said;
    }

    TempDir dir = TempDir::create("claimed").value();
    fs::path disk = dir / "disk.img";
    test::FakeRoot guest;
    RepairRequest request;
};

}  // namespace

TEST_F(ClaimedRepair, a_second_run_on_an_image_is_refused_and_the_first_is_not_disturbed) {
    on_disk();
    for (const bool dry_run : {false, true}) {
        const auto said = second_meanwhile(dry_run);
        ASSERT_TRUE(said);
        EXPECT_TRUE(said->is(disks::errors::kVhdInUse)) << said->describe();
        EXPECT_THAT(said->next_step(), testing::HasSubstr("wait for the other program"));
    }
    const auto again = repair(request);
    ASSERT_TRUE(again.ok()) << again.error().explain();
    EXPECT_TRUE(again->unchanged);
}

TEST_F(ClaimedRepair, a_second_run_on_a_device_is_refused) {
    on_disk();
    const auto loop = test::TestLoop::attach(disk);
    ASSERT_TRUE(loop.ok()) << loop.error().describe();
    request.disk = loop->device();
    const auto said = second_meanwhile(false);
    ASSERT_TRUE(said);
    EXPECT_TRUE(said->is(fixup::errors::kBusy)) << said->describe();
}

TEST_F(ClaimedRepair, a_second_run_on_a_mounted_root_is_refused) {
    request.root = guest.path();
    for (const bool dry_run : {false, true}) {
        const auto said = second_meanwhile(dry_run);
        ASSERT_TRUE(said);
        EXPECT_TRUE(said->is(fixup::errors::kBusy)) << said->describe();
    }
    EXPECT_TRUE(repair(request).value().unchanged);
}

TEST_F(ClaimedRepair, a_disk_that_is_mounted_is_refused_and_not_touched) {
    on_disk();
    const auto partition = test::TestLoop::attach(disk, test::kFakePartition);
    const auto whole = test::TestLoop::attach(disk, {"-P"});
    ASSERT_TRUE(partition.ok() && whole.ok());
    const auto place = (dir / "mnt").string();
    fs::create_directory(place);
    const auto before = test::files_on(disk).value();
    const auto refused_while_mounted = [&](const std::vector<std::string>& mount, const fs::path& asked) {
        ASSERT_TRUE(run_checked(mount).ok());
        request.disk = asked;
        const auto report = repair(request);
        ASSERT_TRUE(run_checked({"umount", place}).ok());
        EXPECT_THAT(test::differences(test::files_on(disk).value(), before), testing::IsEmpty());
        ASSERT_FALSE(report.ok());
        EXPECT_TRUE(report.error().is(fixup::errors::kInUse)) << report.error().describe();
    };
    refused_while_mounted({"mount", partition->device(), place}, disk);
    if (!fs::exists(whole->device() + "p1")) return;  // this kernel's loop devices have no partitions
    for (const char* how : {"rw", "ro"})
        refused_while_mounted({"mount", "-o", how, whole->device() + "p1", place}, whole->device());
}

TEST_F(ClaimedRepair, the_program_says_who_is_in_the_way) {
    on_disk();
    const auto held = claim_disk(disk, false);
    ASSERT_TRUE(held.ok()) << held.error().describe();
    const char* bin = std::getenv("SLIPWAY_BIN");
    const auto ran =
        run_command({std::string(bin ? bin : "bin") + "/slipway-fixup", "--disk", disk.string(), "--target", "ide"});
    ASSERT_TRUE(ran.ok());
    EXPECT_EQ(ran->exit_code, 1);
    EXPECT_THAT(ran->error_text, testing::HasSubstr("[disks.vhd-in-use]"));
}
