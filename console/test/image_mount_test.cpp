// SPDX-License-Identifier: GPL-3.0-or-later
// `slipway image mount` by the real program and the real kernel.
#include <gtest/gtest.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <algorithm>
#include <random>
#include <thread>

#include <boost/json.hpp>

#include "console/errors.hpp"
#include "console/image/mount_points.hpp"
#include "console/test/program.hpp"
#include "imagestore/store.hpp"
#include "lib/base/exit_code.hpp"
#include "lib/base/fd.hpp"
#include "lib/base/temp_dir.hpp"

using namespace slipway;
using namespace slipway::console;
namespace fs = std::filesystem;
namespace json = boost::json;

namespace {

constexpr std::size_t kMiB = 1u << 20;

bool fuse_works() { return open_fd("/dev/fuse", O_RDWR).ok() && ::geteuid() == 0; }

std::string run_ok(const std::vector<std::string>& argv, const std::string& input = {}) {
    CommandOptions options;
    options.input = input;
    auto r = run_command(argv, options);
    EXPECT_TRUE(r.ok() && r->ok()) << argv[0] << ": " << (r.ok() ? r->error_text : r.error().describe());
    return r.ok() ? r->output : "";
}

// A captured disk: ext4 on partition 1 with a tree, nothing anyone knows on partition 2.
class Mounts : public ::testing::Test {
protected:
    void SetUp() override {
        if (!fuse_works()) GTEST_SKIP() << "needs root and /dev/fuse";
        fs::create_directories(dir / "tree/d");
        std::mt19937 random(5);
        for (int i = 0; i < 5; ++i) {
            std::string text(static_cast<std::size_t>(i + 1) * 333'333, ' ');
            for (auto& c : text) c = static_cast<char>(random());
            ASSERT_TRUE(write_file_atomic(dir / "tree/d" / std::to_string(i), as_bytes(text)).ok());
        }
        auto disk = path("disk.img");
        ASSERT_TRUE(write_file_atomic(disk, Bytes(48 * kMiB)).ok());
        run_ok({"sfdisk", "-q", disk}, "label: dos\nstart=2048, size=32M, type=83\nsize=8M, type=83\n");
        run_ok({"mke2fs", "-q", "-t", "ext4", "-F", "-E", "offset=1048576", "-d", path("tree"), disk, "32M"});
        ASSERT_EQ(slipway_run({"image", "capture", "--source", disk, "--store", path("s"), "--name", "web"}).code,
                  kExitDone);
        ASSERT_EQ(
            slipway_run({"image", "deploy", "--name", "web", "--store", path("s"), "--target", path("laid.img")}).code,
            kExitDone);
        laid = read_file(path("laid.img")).value();
    }
    void TearDown() override {
        auto mounts = console::read_mounts().value();
        for (const auto& mount : mounts)
            if (mount.type == kMountType && mount.path.starts_with(dir.path().string()))
                (void)unmount_image(mount.path).ok();
    }

    std::string path(const char* name) const { return (dir / name).string(); }
    json::object mount(std::vector<std::string> more = {}) {
        std::vector<std::string> arguments{"image", "mount", "web", "--store", path("s"), "--at", path("m"), "--json"};
        arguments.insert(arguments.end(), more.begin(), more.end());
        auto r = slipway_run(arguments);
        EXPECT_EQ(r.code, kExitDone) << r.out << r.error;
        boost::system::error_code failed;
        auto value = json::parse(r.out, failed);
        return value.is_object() ? value.as_object() : json::object();
    }
    bool mounted(const std::string& at) const {
        auto mounts = console::read_mounts().value();
        return std::any_of(mounts.begin(), mounts.end(), [&](const auto& m) { return m.path.starts_with(at); });
    }
    // Gone, or dead and waiting for its parent.
    static bool alive(std::int64_t pid) {
        auto stat = read_text_file("/proc/" + std::to_string(pid) + "/stat");
        return stat.ok() && stat->find(") Z") == std::string::npos;
    }

    TempDir dir = TempDir::create("mount").value();
    Bytes laid;
};

}  // namespace

TEST_F(Mounts, disks_and_volumes_are_files_and_unmount_leaves_no_process) {
    auto told = mount();
    auto pid = told.at("pid").as_int64();
    EXPECT_EQ(read_file(path("m/disks/0.raw"), 64 * kMiB).value(), laid);
    auto volume = read_file(path("m/volumes/0p1.raw"), 64 * kMiB).value();
    EXPECT_TRUE(std::equal(volume.begin(), volume.end(), laid.begin() + kMiB));
    EXPECT_EQ(volume.size(), 32 * kMiB);
    EXPECT_EQ(fs::file_size(path("m/volumes/0p2.raw")), 8 * kMiB);
    EXPECT_FALSE(open_fd(path("m/disks/0.raw"), O_RDWR).ok());
    EXPECT_FALSE(write_file_atomic(path("m/new"), {}).ok());
    EXPECT_NE(read_text_file(path("m/image.json"))->find("\"image\":\"web@1\""), std::string::npos);

    // Reads of many at once, at odd places.
    std::vector<std::jthread> readers;
    std::atomic<int> wrong{0};
    for (unsigned t = 0; t < 4; ++t)
        readers.emplace_back([&, t] {
            std::mt19937 random(t);
            auto fd = open_fd(path("m/disks/0.raw"), O_RDONLY);
            for (int i = 0; i < 50 && fd.ok(); ++i) {
                auto offset = random() % laid.size();
                Bytes got(std::min<std::size_t>(random() % (kMiB / 2), laid.size() - offset));
                auto n = pread_full(fd->get(), got, offset);
                if (!n || *n != got.size() ||
                    !std::equal(got.begin(), got.end(), laid.begin() + std::ptrdiff_t(offset)))
                    ++wrong;
            }
        });
    readers.clear();
    EXPECT_EQ(wrong, 0);

    EXPECT_TRUE(alive(pid));
    auto done = slipway_run({"image", "unmount", path("m")});
    EXPECT_EQ(done.code, kExitDone) << done.error;
    EXPECT_FALSE(mounted(path("m")));
    EXPECT_FALSE(alive(pid));
    auto again = slipway_run({"image", "unmount", path("m")});
    EXPECT_EQ(again.code, kExitFailed);
    EXPECT_NE(again.error.find("console.not-mounted"), std::string::npos) << again.error;
}

TEST_F(Mounts, files_of_a_volume_are_there_and_a_mount_in_use_says_so) {
    if (!fs::exists("/dev/loop-control")) GTEST_SKIP() << "needs loop devices";
    auto told = mount({"--files"});
    auto pid = told.at("pid").as_int64();
    run_ok({"diff", "-r", path("tree/d"), path("m/files/0p1/d")});
    auto held = open_fd(path("m/files/0p1/d/0"), O_RDONLY);
    ASSERT_TRUE(held.ok());
    auto busy = slipway_run({"image", "unmount", path("m")});
    EXPECT_EQ(busy.code, kExitFailed);
    EXPECT_NE(busy.error.find("console.mount-busy"), std::string::npos) << busy.error;
    held->reset();
    EXPECT_EQ(slipway_run({"image", "unmount", path("m")}).code, kExitDone);
    EXPECT_FALSE(mounted(path("m")));
    EXPECT_FALSE(alive(pid));
}

TEST_F(Mounts, a_dead_mount_is_named_and_taken_away) {
    bool files = fs::exists("/dev/loop-control");
    auto told = mount(files ? std::vector<std::string>{"--files"} : std::vector<std::string>{});
    auto pid = static_cast<pid_t>(told.at("pid").as_int64());
    UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
    ASSERT_EQ(::kill(pid, SIGKILL), 0);
    pollfd watch{process.get(), POLLIN, 0};
    ASSERT_EQ(::poll(&watch, 1, 30'000), 1);
    std::error_code failed;
    (void)fs::is_empty(path("m"), failed);
    EXPECT_EQ(failed.value(), ENOTCONN);
    auto again = slipway_run({"image", "mount", "web", "--store", path("s"), "--at", path("m")});
    EXPECT_EQ(again.code, kExitFailed);
    EXPECT_NE(again.error.find("image unmount"), std::string::npos) << again.error;
    auto done = slipway_run({"image", "unmount", path("m")});
    EXPECT_EQ(done.code, kExitDone) << done.error;
    EXPECT_FALSE(mounted(path("m")));
}

TEST_F(Mounts, a_mounted_image_outlives_its_deletion_and_gc) {
    mount();
    ASSERT_EQ(slipway_run({"image", "delete", "web", "--store", path("s")}).code, kExitDone);
    auto store = imagestore::Store::open(path("s")).value();
    imagestore::GcOptions now;
    now.grace = std::chrono::seconds(-10);
    EXPECT_EQ(store->gc(now, SystemClock())->chunks_removed, 0u);
    EXPECT_EQ(read_file(path("m/disks/0.raw"), 64 * kMiB).value(), laid);
    EXPECT_EQ(slipway_run({"image", "unmount", path("m")}).code, kExitDone);
    EXPECT_GT(store->gc(now, SystemClock())->chunks_removed, 0u);
}

TEST_F(Mounts, the_foreground_ends_by_a_signal_and_by_an_unmount) {
    for (bool by_signal : {true, false}) {
        std::array<int, 2> ends{};
        ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
        UniqueFd from(ends[0]), to(ends[1]);
        auto child = Child::spawn({slipway_program(), "image", "mount", "web", "--store", path("s"), "--at", path("m"),
                                   "--foreground", "--json"},
                                  {-1, to.get(), -1});
        ASSERT_TRUE(child.ok());
        to.reset();
        // It says so once it is mounted.
        std::byte first{};
        ASSERT_EQ(::read(from.get(), &first, 1), 1);
        EXPECT_TRUE(fs::exists(path("m/disks/0.raw")));
        if (by_signal) child->signal(SIGTERM);
        else EXPECT_EQ(slipway_run({"image", "unmount", path("m")}).code, kExitDone);
        EXPECT_EQ(child->wait(), kExitDone);
        EXPECT_FALSE(mounted(path("m")));
    }
}

TEST_F(Mounts, a_place_that_is_not_empty_is_refused) {
    auto r = slipway_run({"image", "mount", "web", "--store", path("s"), "--at", path("tree")});
    EXPECT_EQ(r.code, kExitFailed);
    EXPECT_NE(r.error.find("console.mount-point"), std::string::npos) << r.error;
}

TEST_F(Mounts, without_fuse_the_error_says_what_to_do_and_nothing_is_left) {
    // In a mount namespace of its own, where /dev is empty.
    auto r = run_command({"unshare", "-m", "/bin/sh", "-c",
                          "mount -t tmpfs none /dev && exec \"$0\" image mount web --store \"$1\" --at \"$2\"",
                          slipway_program(), path("s"), path("m")});
    ASSERT_TRUE(r.ok());
    EXPECT_EQ(r->exit_code, kExitFailed) << r->error_text;
    EXPECT_NE(r->error_text.find("console.no-fuse"), std::string::npos) << r->error_text;
    EXPECT_NE(r->error_text.find("modprobe fuse"), std::string::npos) << r->error_text;
}

TEST(MountInfo, finds_paths_types_and_sources_and_passes_over_what_is_no_line) {
    auto mounts = parse_mountinfo(
        "36 35 98:0 /mnt1 /mnt/my\\040disk rw,noatime master:1 - ext3 /dev/root rw\n"
        "nonsense\n"
        "- - -\n"
        "43 27 0:39 / /mnt/web ro,nosuid - fuse.slipway web@1\\04342 ro\n");
    ASSERT_EQ(mounts.size(), 2u);
    EXPECT_EQ(mounts[0].path, "/mnt/my disk");
    EXPECT_EQ(mounts[0].type, "ext3");
    EXPECT_EQ(mounts[1].type, kMountType);
    EXPECT_EQ(mounts[1].source, mount_source("web@1", 42));
    EXPECT_EQ(server_of(mounts[1].source), 42);
    EXPECT_FALSE(server_of("web@1"));
    EXPECT_FALSE(server_of("web@1#1"));
    EXPECT_FALSE(server_of("web@1#99999999999"));
}

TEST(VolumeMount, never_writes_and_trusts_nothing_inside) {
    imagestore::VolumeInfo volume;
    for (const char* filesystem : {"ext2", "ext3", "ext4", "xfs", "btrfs", "fat32", "ntfs"}) {
        volume.filesystem = filesystem;
        auto command = volume_mount_command(volume, "F", "D");
        ASSERT_TRUE(command) << filesystem;
        auto options = *std::find_if(command->begin(), command->end(),
                                     [](const auto& word) { return word.find("ro,") != std::string::npos; });
        EXPECT_NE(options.find("nosuid,nodev,noexec"), std::string::npos) << filesystem;
    }
    for (const char* filesystem : {"", "swap", "luks", "lvm2-member"}) {
        volume.filesystem = filesystem;
        EXPECT_FALSE(volume_mount_command(volume, "F", "D")) << filesystem;
    }
    volume.filesystem = "ext4";
    volume.excluded = true;  // its content was not taken
    EXPECT_FALSE(volume_mount_command(volume, "F", "D"));
}
